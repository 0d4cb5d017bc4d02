package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// serving starts fnb run, and returns what it prints. Ctrl-C ends it after the test, which shows
// its log if it fails.
func serving(tb testing.TB, cmd *exec.Cmd) io.Reader {
	tb.Helper()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	log := &fixture.Buffer{}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		_ = cmd.Wait()                       // 130
		if tb.Failed() {
			tb.Logf("%s", log)
		}
	})
	return out
}

// cmdFreePort: freeport VAR finds a local port at which nothing listens, nor at the
// ones behind it that further functions take.
func cmdFreePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport VAR")
	}
	port, err := servers.FreePorts(3)
	ts.Check(err)
	ts.Setenv(args[0], port)
}

// cmdBusyPort: busyport VAR takes a local port for the rest of the script.
func cmdBusyPort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: busyport VAR")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	ts.Defer(func() { _ = l.Close() })
}

// cmdAnswers: answers URL BODY WANT posts a body until the answer has what is
// wanted in it.
func cmdAnswers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: answers URL BODY WANT")
	}
	last := ""
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		res, err := http.Post(args[0], "text/plain", strings.NewReader(args[1]))
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(res.Body)
		ts.Check(err)
		ts.Check(res.Body.Close())
		if last = res.Status + " " + string(body); strings.Contains(last, args[2]) {
			return
		}
	}
	ts.Fatalf("the last answer: %s", last)
}

// until waits for a condition, and reports whether it came.
func until(cond func() bool) bool {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if cond() {
			return true
		}
	}
	return false
}

// cmdAwaits: awaits FILE TEXT waits until a file that something writes has the
// text in it.
func cmdAwaits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: awaits FILE TEXT")
	}
	var raw []byte
	if !until(func() bool {
		raw, _ = os.ReadFile(ts.MkAbs(args[0])) // not there yet
		return strings.Contains(string(raw), args[1])
	}) {
		ts.Fatalf("%s has only:\n%s", args[0], raw)
	}
}

// cmdProcess: process NAME=VALUE waits until a process has the variable in its
// environment, wherever it runs; with ! until none has.
func cmdProcess(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: process NAME=VALUE")
	}
	if !until(func() bool {
		files, err := filepath.Glob("/proc/[0-9]*/environ")
		ts.Check(err)
		return neg != slices.ContainsFunc(files, func(file string) bool {
			raw, err := os.ReadFile(file) // it may have ended
			return err == nil && slices.Contains(strings.Split(string(raw), "\x00"), args[0])
		})
	}) {
		ts.Fatalf("a process with %s: %v", args[0], neg)
	}
}

// cmdSocket: socket FUNCTION waits until fnb invoke could find the fnb run of a
// function; with ! until there is no trace of it.
func cmdSocket(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: socket FUNCTION")
	}
	path, err := functionSocket(ts.MkAbs("stack.yaml"), args[0])
	ts.Check(err)
	if neg {
		path = filepath.Dir(path)
	}
	if !until(func() bool {
		_, err := os.Lstat(path)
		return (err == nil) != neg
	}) {
		ts.Fatalf("%s: %v", path, neg)
	}
}
