package pages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A Reader is somebody who does what pages say.
type Reader struct {
	// Dir is the folder to work in, and Home the reader's own.
	Dir, Home string
	// Env is the environment of the commands.
	Env []string
	// Names are what pages speak of and the reader has elsewhere, as [strings.NewReplacer] takes them.
	Names []string
	// Port is where fnb run serves.
	Port string
	// Has are files that a reader has, by name: one is written when a command names it.
	Has map[string]string

	serving []*exec.Cmd
}

// patience is how long one command may take: on a machine with much to do, too.
const patience = 15 * time.Minute

// Do does what a block says. A server that it starts runs until [Reader.Close].
func (r *Reader) Do(ctx context.Context, b Block) error {
	var err error
	switch {
	case b.ShownOnly != "":
	case b.Kind == "console":
		err = r.console(ctx, b)
	default:
		err = r.write(b.File, r.here(b.Lines)+"\n")
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", b.Line, err)
	}
	return nil
}

// here is what a page says with the names of where the reader is.
func (r *Reader) here(lines []string) string {
	return strings.NewReplacer(r.Names...).Replace(strings.Join(lines, "\n"))
}

func (r *Reader) console(ctx context.Context, b Block) error {
	for i := 0; i < len(b.Lines); {
		command, ok := strings.CutPrefix(b.Lines[i], "$ ")
		if !ok {
			return fmt.Errorf("%q follows no command", b.Lines[i])
		}
		i++
		begin := i
		for i < len(b.Lines) && !strings.HasPrefix(b.Lines[i], "$ ") {
			i++
		}
		fails := b.File == "fails" && i == len(b.Lines)
		if err := r.command(ctx, r.here([]string{command}), r.here(b.Lines[begin:i]), fails); err != nil {
			return err
		}
	}
	return nil
}

// write writes a file that a page names.
func (r *Reader) write(name, text string) error {
	name, adds := strings.CutPrefix(name, ">>")
	file := filepath.Join(r.Dir, filepath.FromSlash(name))
	if below, ok := strings.CutPrefix(name, "~/"); ok {
		file = filepath.Join(r.Home, filepath.FromSlash(below))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
	}
	if adds {
		old, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		text = string(old) + text
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// command runs a line of a console, fnb run until the reader has done everything.
func (r *Reader) command(ctx context.Context, line, shown string, fails bool) error {
	for name, text := range r.Has {
		if strings.Contains(line, name) {
			if err := r.write(name, text); err != nil {
				return err
			}
		}
	}
	if strings.HasPrefix(line, "fnb run ") {
		if before, after, ok := strings.Cut(line, "--gateway"); ok { // whose port the functions' follow
			return r.serve("exec "+before+"--gateway="+r.Port+after, shown)
		}
		line = strings.Replace(line, " --debug ", " --debug=0 ", 1) // a port that nobody else has
		return r.serve("exec "+line+" --port "+r.Port, shown)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var beside bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.Env, cmd.Stderr = r.Dir, r.Env, &beside
	out, err := cmd.Output()
	if fails {
		err = failure(err)
	}
	if err != nil {
		return fmt.Errorf("$ %s\n%w\n%s%s", line, err, out, beside.String())
	}
	said, shown := aside(shown)
	for _, s := range said {
		if !slices.ContainsFunc(strings.Split(beside.String(), "\n"), func(line string) bool { return matches(s, line) }) {
			return fmt.Errorf("$ %s\nsays\n%s\nand the page\n%s", line, beside.String(), s)
		}
	}
	if got := strings.TrimRight(string(out), "\n"); !matches(shown, got) {
		return fmt.Errorf("$ %s\nprints\n%s\nand the page has\n%s", line, got, shown)
	}
	return nil
}

// failure is nil for a command that has failed, as the page says that it does.
func failure(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	if err == nil {
		err = errors.New("it must fail, and does not")
	}
	return err
}

// serve starts a command that goes on, and waits for what it prints first.
func (r *Reader) serve(line, shown string) error {
	cmd := exec.Command("sh", "-c", line) //nolint:noctx // Close ends it, in its own way
	var beside bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stderr = r.Dir, r.Env, &beside
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.serving = append(r.serving, cmd)
	first := make([]byte, 4096)
	n, err := out.Read(first)
	if got := strings.TrimSpace(string(first[:n])); err != nil || !matches(shown, got) {
		r.Close()
		return fmt.Errorf("$ %s\nprints %q (%w), and the page has %q\n%s", line, got, err, shown, beside.String())
	}
	return nil
}

// Close ends what still runs.
func (r *Reader) Close() {
	for _, cmd := range r.serving {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // it ends by the signal
	}
	r.serving = nil
}
