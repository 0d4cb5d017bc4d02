package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a child program whose output is kept, and which can be waited for
// until it says that it is ready.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{} // closed when the program has ended
	err  error         // what Wait said; valid after done
}

// startProcess starts a program that ends with this one. Standard output and
// standard error go to the process's log.
func startProcess(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, log: &logBuffer{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = endWithParent()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// awaitLine waits until the log has a line that matches, and returns the
// submatches. When the program ends first, the error shows the end of its log.
func (p *process) awaitLine(ctx context.Context, pattern *regexp.Regexp, limit time.Duration) ([]string, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		text, more := p.log.snapshot()
		if m := pattern.FindStringSubmatch(text); m != nil {
			return m, nil
		}
		var why error
		select {
		case <-more:
			continue
		case <-p.done:
			why = fmt.Errorf("it ended before it was ready: %w", p.err)
		case <-timer.C:
			why = fmt.Errorf("not ready after %s", limit)
		case <-ctx.Done():
			why = ctx.Err()
		}
		return nil, fmt.Errorf("starting %s: %w\n%s", p.name, why, tail(text, 20))
	}
}

// stop sends SIGTERM, waits, and kills the program when it does not end.
func (p *process) stop(limit time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", p.name, err)
	}
	<-p.done
	return fmt.Errorf("stopping %s: killed, it did not end within %s of SIGTERM", p.name, limit)
}

// logBuffer keeps what a program prints and wakes those who wait for more.
type logBuffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

// Write keeps p; it never fails.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.buf.Write(p)
}

// String returns everything that was printed so far.
func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// snapshot returns the text so far and a channel that is closed at the next
// write; after the last write the channel stays open.
func (l *logBuffer) snapshot() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return l.buf.String(), l.more
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
