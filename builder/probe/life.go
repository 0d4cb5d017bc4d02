package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"fnb/builder/containers"
)

// logLine starts the function behind a program that writes a long line first,
// and looks for the line and an answer.
func (p *prober) logLine(ctx context.Context) error {
	if !p.r.HasWatchdog() {
		return noWatchdog
	}
	fprocess := ""
	for _, kv := range p.r.Config().Env {
		for _, name := range []string{"fprocess=", "function_process="} {
			if v, ok := strings.CutPrefix(kv, name); ok && v != "" {
				fprocess = v
			}
		}
	}
	if v := p.req.Env["fprocess"]; v != "" {
		fprocess = v
	}
	if fprocess == "" {
		return errSkip("the image has no fprocess")
	}
	req := p.with("fprocess", p.r.Program()+" longline "+strconv.Itoa(logLine)+" "+fprocess)
	c := &counter{}
	req.Stdout, req.Stderr = c, c
	r, err := containers.Run(ctx, p.client, req)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Ready(ctx, p.o.Listen); err != nil {
		return fmt.Errorf("it does not begin to listen after a long line: %w", err)
	}
	if status, _, err := p.send(ctx, r, p.o.Request); err != nil {
		return fmt.Errorf("a request after a long line: %w", err)
	} else if p.status != 0 && status != p.status { // it is 0 if the request is skipped
		return fmt.Errorf("a request after a long line: it answers %d, and %d without one", status, p.status)
	}
	return c.wait(ctx, 5*time.Second)
}

// A counter counts the bytes of the long line, which has only x in it. The
// watchdog may write it in pieces, each with words of its own before it.
type counter struct {
	mu sync.Mutex
	n  int
}

// Write implements [io.Writer].
func (c *counter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += bytes.Count(p, []byte("x"))
	return len(p), nil
}

// wait gives the log time to arrive.
func (c *counter) wait(ctx context.Context, limit time.Duration) error {
	for end := time.Now().Add(limit); ; {
		c.mu.Lock()
		n := c.n
		c.mu.Unlock()
		if n >= logLine-1 {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(end) {
			return fmt.Errorf("%d of the %d bytes of a line reached the log", n, logLine)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

const (
	// settle is how long a request's first half has to reach the function, the
	// first time; each further time it is four times as long.
	settle = 100 * time.Millisecond

	// drainTries is how often SIGTERM is tried where the exit code gets lost, and
	// cutTries where the request does: it may have come too late.
	drainTries = 5
	cutTries   = 4
)

// errCut is of a request whose connection was closed before its answer.
var errCut = errors.New("it got no answer")

// drain looks how the container ends after SIGTERM.
func (p *prober) drain(ctx context.Context) error {
	r, pause := p.r, settle
	for try := 1; ; try++ {
		code, err := p.terminate(ctx, r, pause)
		switch {
		case errors.Is(err, errCut) && try < cutTries:
			pause *= 4
		case err != nil:
			return err
		case code == 0 || code == 128+int(syscall.SIGTERM):
			return nil
		case code != containers.UnknownExitCode || try == drainTries:
			return fmt.Errorf("after SIGTERM %w", &containers.ExitError{Code: code})
		}
		if r, err = containers.Run(ctx, p.client, p.req); err != nil {
			return err
		}
		defer r.Close()
		if err := r.Ready(ctx, p.o.Listen); err != nil {
			return err
		}
	}
}

// terminate sends SIGTERM in the middle of a request, and returns the exit code.
func (p *prober) terminate(ctx context.Context, r *containers.Container, pause time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Drain+pause) // what comes before the signal does not count
	defer cancel()
	// A body of at least two bytes, so that there are two halves; JSON stays what it is.
	e := p.o.Request
	if len(e.Body) < 2 {
		e.Body += "  "
	}
	half := len(e.Body) / 2
	pr, pw := io.Pipe()
	req, err := newRequest(ctx, e, pr)
	if err != nil {
		return 0, err
	}
	req.ContentLength = int64(len(e.Body))
	req.Close = true // no connection is to be there when the process ends
	done := make(chan error, 1)
	go func() { done <- p.exchange(r, req) }()
	if _, err := io.WriteString(pw, e.Body[:half]); err != nil {
		return 0, fmt.Errorf("sending half of a request: %w", err)
	}
	time.Sleep(pause)
	if err := r.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	time.Sleep(pause)
	if _, err := io.WriteString(pw, e.Body[half:]); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return 0, fmt.Errorf("sending the rest of the request: %w", err)
	}
	_ = pw.Close() // never fails
	if err := <-done; err != nil {
		return 0, fmt.Errorf("the request under way at SIGTERM: %w", err)
	}
	code, err := r.Wait(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("its process has not ended %s after SIGTERM", p.o.Drain)
	}
	return code, err
}

// exchange sends a request and reads its answer whole, which may fail as that of the request
// check did.
func (p *prober) exchange(r *containers.Container, req *http.Request) error {
	res, err := r.Transport().RoundTrip(req)
	if err != nil && req.Context().Err() == nil {
		return errCut // what the transport says is how it came about
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)); err != nil {
		return err
	}
	if res.StatusCode >= http.StatusInternalServerError && res.StatusCode != p.status {
		return fmt.Errorf("it answers %s", res.Status)
	}
	return nil
}
