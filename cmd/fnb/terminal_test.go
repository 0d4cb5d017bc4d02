package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// A screen is what a terminal has shown.
type screen struct {
	mu   sync.Mutex
	all  bytes.Buffer
	seen int // up to where something was awaited
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

// follow takes in what a terminal shows, until quit is closed and nothing is left of it.
func (s *screen) follow(host *os.File, quit <-chan struct{}) {
	fd := int(host.Fd())
	p := make([]byte, 4096)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 50)
		if n > 0 {
			if n, err = unix.Read(fd, p); err != nil || n == 0 {
				return
			}
			_, _ = s.Write(p[:n]) // into memory
			continue
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		select {
		case <-quit:
			return
		default:
		}
	}
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// find looks for a text behind the last one that was found.
func (s *screen) find(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := bytes.Index(s.all.Bytes()[s.seen:], []byte(text))
	if at >= 0 {
		s.seen += at + len(text)
	}
	return at >= 0
}

// cmdTalk: talk CODE DIALOGUE FILE COMMAND… runs a command at a terminal of 40 lines of 120
// characters, checks its exit code and that it leaves the terminal as it was, and writes what
// the terminal has shown to FILE. Each line of the file DIALOGUE is one of
//
//	await TEXT          wait until it is shown
//	type TEXT           and the enter key
//	key C               with the control key
//	resize LINES WIDTH
//	signal NAME         to the command
//	close               the terminal, after which its state is no matter
func cmdTalk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: talk CODE DIALOGUE FILE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	host, own, err := pty.Open()
	ts.Check(err)
	ts.Check(pty.Setsize(host, &pty.Winsize{Rows: 40, Cols: 120}))
	before, err := unix.IoctlGetTermios(int(own.Fd()), unix.TCGETS)
	ts.Check(err)
	cmd := exec.Command(filepath.Join(filepath.Dir(ts.Getenv("FNB")), args[3]), args[4:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), slices.Concat(environ(ts), []string{"TERM=dumb"})
	cmd.Stdin, cmd.Stdout, cmd.Stderr = own, own, own
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	shown := &screen{}
	var reading sync.WaitGroup
	quit := make(chan struct{})
	reading.Go(func() { shown.follow(host, quit) })
	closed := false
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		verb, text, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		switch verb {
		case "await":
			if !until(func() bool { return shown.find(text) }) {
				_ = cmd.Process.Kill() // it may have ended
				ts.Fatalf("%q does not appear:\n%s", text, shown.text())
			}
		case "type":
			_, err = io.WriteString(host, text+"\r")
		case "key":
			_, err = host.Write([]byte{text[0] & 0x1f})
		case "resize":
			lines, width, _ := strings.Cut(text, " ")
			l, _ := strconv.Atoi(lines)
			w, _ := strconv.Atoi(width)
			err = pty.Setsize(host, &pty.Winsize{Rows: uint16(l), Cols: uint16(w)})
		case "signal":
			err = cmd.Process.Signal(unix.SignalNum(text))
		case "close":
			closed = true
			close(quit)
			reading.Wait() // a terminal that is read from does not close
			err = errors.Join(own.Close(), host.Close())
		case "":
		default:
			ts.Fatalf("%s: %q is none of its verbs", args[1], verb)
		}
		ts.Check(err)
	}
	err = <-ended
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
	if !closed {
		after, err := unix.IoctlGetTermios(int(own.Fd()), unix.TCGETS)
		ts.Check(err)
		if *after != *before {
			ts.Fatalf("it leaves the terminal as\n%+v, and it was\n%+v", after, before)
		}
		close(quit)
		reading.Wait()
		ts.Check(errors.Join(own.Close(), host.Close()))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.ReplaceAll(shown.text(), "\r", "")), 0o600))
	if code := cmd.ProcessState.ExitCode(); code != want {
		ts.Fatalf("exit code %d, want %d:\n%s", code, want, shown.text())
	}
}
