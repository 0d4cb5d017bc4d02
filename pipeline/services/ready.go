package services

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/schema/services"
)

// A NotReadyError says that a service runs, and cannot be used.
type NotReadyError struct {
	Ready services.Ready // what it was waited for
	After time.Duration
	Never bool     // it cannot become ready, however long it is waited for
	Last  string   // what came of it the last time
	Log   []string // the last lines that it wrote
}

func (e *NotReadyError) Error() string {
	text := fmt.Sprintf("it is not ready after %s, which ready: %s would tell", e.After.Round(100*time.Millisecond), e.Ready)
	if e.Never {
		text = fmt.Sprintf("it is never ready, which ready: %s would tell", e.Ready)
	}
	if e.Last != "" {
		text += ": " + e.Last
	}
	return text
}

// A LogError has the last lines that a service wrote, where nobody has seen them.
type LogError struct {
	Service string
	Log     []string
	Err     error
}

func (e *LogError) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *LogError) Unwrap() error { return e.Err }

// failed gives an error its place, and the last lines of the log where nobody has seen them.
func (s *service) failed(key string, log []string, err error) error {
	err = failure(s.set.p, s.Service, key, "starting it", err)
	if s.set.o.Logs == nil && len(log) > 0 {
		return &LogError{Service: s.Name, Log: log, Err: err}
	}
	return err
}

func (s *service) exited(err *containers.ExitError) error { return s.failed("", err.Log, err) }

// gaveUp reports whether starting a service again would end in the same way.
func gaveUp(err error) bool {
	_, away := errors.AsType[*builder.UnreachableError](err)
	return away
}

// endOf says how a service ended, without where the stack says it.
func endOf(err error) string {
	if exit, ok := errors.AsType[*containers.ExitError](err); ok {
		return exit.Error()
	}
	if late, ok := errors.AsType[*NotReadyError](err); ok {
		return late.Error()
	}
	return err.Error()
}

// await waits until the service may be used.
func (s *service) await(ctx context.Context, c *containers.Container, seen *sight) error {
	limit := cmp.Or(time.Duration(s.Timeout), services.DefaultTimeout)
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began, last := time.Now(), ""
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		err := s.ask(within, c, seen)
		if err == nil {
			return nil
		}
		if within.Err() == nil {
			last = err.Error()
		}
		if none, ok := errors.AsType[*containers.NoProgramError](err); ok {
			return s.failed("ready", nil, &NotReadyError{Ready: s.Ready, Never: true, Last: none.Error() + " in its image"})
		}
		select {
		case <-c.Gone():
			err := c.EndedEarly(ctx)
			if exit, ok := errors.AsType[*containers.ExitError](err); ok {
				return s.exited(exit)
			}
			return cmp.Or(err, errors.New("its container is gone"))
		case <-within.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			late := &NotReadyError{Ready: s.Ready, After: time.Since(began), Last: last, Log: c.Tail()}
			return s.failed("ready", late.Log, late)
		case <-time.After(pause):
		}
	}
}

// ask finds out whether the service may be used now.
func (s *service) ask(ctx context.Context, c *containers.Container, seen *sight) error {
	switch s.Ready.Kind {
	case services.HTTP:
		return s.get(ctx, c)
	case services.Log:
		select {
		case <-seen.found:
			return nil
		case <-c.Gone():
		case <-ctx.Done():
		}
		return errors.New("no line of its log has that")
	case services.Command:
		code, output, err := c.Exec(ctx, s.Ready.Command)
		if err == nil && code != 0 {
			err = errors.New(strings.TrimSuffix(fmt.Sprintf("the command ended with %d: %s", code, strings.Join(output, " ")), ": "))
		}
		return err
	default:
		conn, err := c.DialPort(ctx, s.Port)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// get asks the service over HTTP.
func (s *service) get(ctx context.Context, c *containers.Container) error {
	port := cmp.Or(s.Ready.Port, s.Port)
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return c.DialPort(ctx, port) },
		DisableKeepAlives: true,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(s.Name, strconv.Itoa(port))+s.Ready.Text, nil)
	if err != nil {
		return err
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close() // its status is all that is wanted
	if res.StatusCode >= http.StatusBadRequest {
		return errors.New("it answered " + res.Status)
	}
	return nil
}

// A sight looks for a text in what a service writes.
type sight struct {
	text  []byte
	found chan struct{} // closed when it was found
	once  sync.Once
}

func newSight(text string) *sight { return &sight{text: []byte(text), found: make(chan struct{})} }

// over returns a writer that looks at what it passes on to w, which may be nil.
func (s *sight) over(w io.Writer) io.Writer { return &sightWriter{sight: s, w: w} }

type sightWriter struct {
	*sight
	w    io.Writer
	rest []byte // that the text may begin in
}

// Write implements [io.Writer].
func (w *sightWriter) Write(p []byte) (int, error) {
	if len(w.text) > 0 {
		w.rest = append(w.rest, p...)
		if bytes.Contains(w.rest, w.text) {
			w.once.Do(func() { close(w.found) })
		}
		w.rest = append([]byte(nil), w.rest[max(0, len(w.rest)-len(w.text)+1):]...)
	}
	if w.w == nil {
		return len(p), nil
	}
	return w.w.Write(p)
}

// Close implements [io.Closer].
func (w *sightWriter) Close() error {
	if c, ok := w.w.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
