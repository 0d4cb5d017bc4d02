package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/plain"
)

// cmdGitHub: github FILE prints the commands in a log that GitHub's runner would
// carry out, one a line. It reads lines and commands as the runner does
// (ActionCommand and ActionCommandManager in github.com/actions/runner): a carriage
// return ends a line; "::name::" at its beginning and "##[name]" anywhere in it are
// commands; none but its own word ends what stop-commands began.
func cmdGitHub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: github FILE")
	}
	_, err := fmt.Fprint(ts.Stdout(), githubCommands(ts.ReadFile(args[0])))
	ts.Check(err)
}

var oldCommand = regexp.MustCompile(`##\[([^ \]]+)[^\]]*\]`)

func githubCommands(log string) string {
	var b strings.Builder
	stopped := ""
	for _, line := range strings.FieldsFunc(log, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.TrimLeftFunc(line, unicode.IsSpace)
		name, data := "", ""
		if rest, ok := strings.CutPrefix(line, "::"); ok {
			if inside, after, ok := strings.Cut(rest, "::"); ok {
				name, _, _ = strings.Cut(inside, " ")
				data = after
			}
		} else if m := oldCommand.FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		switch {
		case name == "":
		case stopped != "":
			if name == stopped {
				stopped = ""
			}
		case name == "stop-commands":
			stopped = data
		default:
			b.WriteString(name + "\n")
		}
	}
	if stopped != "" {
		b.WriteString("commands are stopped for good\n")
	}
	return b.String()
}

func TestGitHubCommands(t *testing.T) {
	t.Parallel()
	log := "a ::b::\nx\r::set-output name=y::z\na ##[warning]b\n::stop-commands::w\n::error::x\n##[error]y\n::w::\n  ::group::g\n::stop-commands::v\n"
	if got, want := githubCommands(log), "set-output\nwarning\ngroup\ncommands are stopped for good\n"; got != want {
		t.Errorf("it carries out\n%s\nand should\n%s", got, want)
	}
}

// cmdHarmless: harmless FILE… fails where a character of a file acts on a terminal.
func cmdHarmless(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: harmless FILE…")
	}
	for _, name := range args {
		for line := range strings.Lines(ts.ReadFile(name)) {
			line = strings.TrimSuffix(line, "\n")
			if strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && plain.Acts(r) }) || strings.Contains(line, "##[") || strings.ToValidUTF8(line, "") != line {
				ts.Fatalf("%s: this line acts: %q", name, line)
			}
		}
	}
}

// cmdTerminal: terminal FILE CMD… runs a command at a terminal and writes to FILE
// what reaches it. The command's exit code is not looked at.
func cmdTerminal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: terminal FILE COMMAND…")
	}
	path, err := exec.LookPath(filepath.Join(filepath.Dir(ts.Getenv("FNB")), args[1]))
	ts.Check(err)
	cmd := exec.Command(path, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = slices.Concat(environ(ts), []string{"TERM=xterm"})
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	ts.Check(err)
	var screen bytes.Buffer
	if _, err = io.Copy(&screen, tty); errors.Is(err, syscall.EIO) {
		err = nil // which is how a terminal ends
	}
	ts.Check(errors.Join(err, tty.Close()))
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), screen.Bytes(), 0o600))
}
