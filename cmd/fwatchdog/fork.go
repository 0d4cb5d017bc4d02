package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// forker is the modes streaming and serializing: each request is one run of the process, with the
// request's body on its standard input and the answer's body from its standard output.
type forker struct {
	path        string
	argv        []string
	environ     []string
	exec        time.Duration
	contentType []string
	serializing bool
	logs        *logs
	children    *children
	copies      sync.Pool
}

func newForker(c *config, l *logs, kids *children, pairs []string) (*forker, error) {
	path, err := exec.LookPath(c.process[0])
	if err != nil {
		return nil, fmt.Errorf("fprocess: %w", err)
	}
	f := &forker{
		path: path, argv: c.process, environ: pairs, exec: c.execTimeout, contentType: []string{c.contentType},
		serializing: c.mode == modeSerializing, logs: l, children: kids,
	}
	f.copies.New = func() any { b := make([]byte, 32<<10); return &b }
	return f, nil
}

// child is one process and its pipes.
type child struct {
	process *os.Process
	in      *os.File // nil: the process reads nothing
	out     *os.File
	errs    *os.File
	pumped  chan struct{} // closed at the end of the log

	mu      sync.Mutex
	ended   bool
	expired bool
}

// abort kills the process and all that it started.
func (r *child) abort() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		_ = syscall.Kill(-r.process.Pid, syscall.SIGKILL) // it may have exited already
	}
}

// expire is abort at the time limit.
func (r *child) expire() {
	r.mu.Lock()
	r.expired = true
	r.mu.Unlock()
	r.abort()
}

func (r *child) isExpired() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.expired
}

// serve runs the process for r.
func (f *forker) serve(x *exchange, r *http.Request) {
	deadline := deadlineOf(x, r, f.exec)
	p, err := f.start(r)
	if err != nil {
		x.fail(http.StatusInternalServerError, err.Error(), err.Error())
		return
	}
	x.onGone(p)
	if !deadline.IsZero() {
		timer := time.AfterFunc(time.Until(deadline), p.expire)
		defer timer.Stop()
	}
	fed := f.feed(p, x, r)
	var kept bytes.Buffer
	if f.serializing {
		_, err = kept.ReadFrom(p.out)
	} else {
		err = f.stream(x, p)
	}
	status := f.finish(x, p)
	if cause := <-fed; err == nil && cause != nil {
		err = cause
	}
	f.conclude(x, p, status, err, kept.Bytes())
}

// start starts a process with its pipes.
func (f *forker) start(r *http.Request) (*child, error) {
	p := &child{pumped: make(chan struct{})}
	var ends [3]*os.File
	var err error
	if r.ContentLength == 0 {
		ends[0], err = os.Open(os.DevNull)
	} else {
		ends[0], p.in, err = os.Pipe()
	}
	if err == nil {
		p.out, ends[1], err = os.Pipe()
	}
	if err == nil {
		p.errs, ends[2], err = os.Pipe()
	}
	if err == nil {
		p.process, err = f.children.start(f.path, f.argv, &os.ProcAttr{
			Env:   requestEnvironment(f.environ, r),
			Files: ends[:],
			Sys:   &syscall.SysProcAttr{Setpgid: true},
		})
	}
	closeAll(ends[:])
	if err != nil {
		closeAll([]*os.File{p.in, p.out, p.errs})
		return nil, fmt.Errorf("starting the function's process: %w", err)
	}
	go func() {
		defer close(p.pumped)
		f.logs.pump("stderr", p.errs)
	}()
	return p, nil
}

// requestEnvironment adds the request to the environment: one variable for each header, as CGI has it.
func requestEnvironment(environ []string, r *http.Request) []string {
	env := make([]string, len(environ), len(environ)+len(r.Header)+6)
	copy(env, environ)
	for name, values := range r.Header {
		switch name {
		case "Method", "Query", "Path", "Transfer-Encoding", "Transfer_encoding":
			continue // these names are taken by the request itself
		}
		env = append(env, "Http_"+strings.ReplaceAll(name, "-", "_")+"="+values[0])
	}
	env = append(env, "Http_Method="+r.Method)
	if r.URL.RawQuery != "" {
		env = append(env, "Http_Query="+r.URL.RawQuery)
	}
	if r.URL.Path != "" && !strings.Contains(r.URL.Path, "\x00") {
		env = append(env, "Http_Path="+r.URL.Path)
	}
	if len(r.TransferEncoding) > 0 {
		env = append(env, "Http_Transfer_Encoding="+r.TransferEncoding[0])
	}
	for _, trace := range [...]struct{ header, name string }{{"Traceparent", "TRACEPARENT"}, {"Tracestate", "TRACESTATE"}} {
		if values := r.Header[trace.header]; values != nil {
			env = append(env, trace.name+"="+values[0])
		}
	}
	return env
}

// feed sends the request's body to the process. What it returns yields an error of reading the body.
func (f *forker) feed(p *child, x *exchange, r *http.Request) <-chan error {
	fed := make(chan error, 1)
	if p.in == nil {
		fed <- nil
		return fed
	}
	if x.conn != nil {
		// The process may answer while the body is still being read.
		_ = http.NewResponseController(x.ResponseWriter).EnableFullDuplex() // an event's writer has no need of it
	}
	go func() {
		pooled, _ := f.copies.Get().(*[]byte) // New makes nothing else
		defer f.copies.Put(pooled)
		fed <- f.copyBody(p, r.Body, *pooled)
	}()
	return fed
}

// copyBody returns errors of reading body only: a process need not read its input to the end.
func (f *forker) copyBody(p *child, body io.Reader, buf []byte) error {
	defer p.in.Close() //nolint:errcheck // its end is all that the process can see
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, werr := p.in.Write(buf[:n]); werr != nil {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			p.mu.Lock()
			ended := p.ended
			p.mu.Unlock()
			if ended {
				return nil
			}
			p.abort() // half a body must not be answered
			return &bodyError{err}
		}
	}
}

// flushAfter is how long output is kept back in the hope of more: a short answer then goes out in one
// piece with its length.
const flushAfter = 2 * time.Millisecond

// stream passes the process's output on as it comes.
func (f *forker) stream(x *exchange, p *child) error {
	pooled, _ := f.copies.Get().(*[]byte) // New makes nothing else
	defer f.copies.Put(pooled)
	for pending := false; ; {
		n, err := p.out.Read(*pooled)
		if n > 0 {
			if x.status == 0 {
				x.Header()["Content-Type"] = f.contentType
			}
			if _, werr := x.Write((*pooled)[:n]); werr != nil {
				x.leave()
				return werr
			}
			if !pending {
				pending = true
				_ = p.out.SetReadDeadline(time.Now().Add(flushAfter)) // a pipe has deadlines
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			x.Flush()
			pending = false
			_ = p.out.SetReadDeadline(time.Time{}) // a pipe has deadlines
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}

// finish waits for the process after its output has ended, and unblocks whatever still feeds it.
func (f *forker) finish(x *exchange, p *child) *os.ProcessState {
	status, _ := f.children.wait(p.process) // it is our child and waited for only here
	x.onGone(nil)
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	// Descendants that were left running keep neither the request nor the log.
	select {
	case <-p.pumped:
	default:
		_ = p.errs.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // a pipe has deadlines
		<-p.pumped
	}
	_ = p.out.Close()  // read to the end
	_ = p.errs.Close() // read to the end
	return status
}

// conclude answers, or says why there is no whole answer.
func (f *forker) conclude(x *exchange, p *child, status *os.ProcessState, err error, kept []byte) {
	var bad *bodyError
	ok := status != nil && status.Success()
	switch {
	case p.isExpired():
		x.fail(http.StatusGatewayTimeout, "", "killed due to exec_timeout")
		return
	case errors.As(err, &bad):
		x.failBody(bad.err)
		return
	case x.isGone():
		x.fail(statusClientGone, "", "client closed the connection")
		return
	case err != nil:
		x.fail(http.StatusInternalServerError, err.Error(), err.Error())
		return
	case !ok && f.serializing:
		x.fail(http.StatusInternalServerError, exitText(status), exitText(status))
		return
	case !ok:
		x.note = exitText(status)
	}
	if x.status == 0 {
		x.Header()["Content-Type"] = f.contentType
		x.WriteHeader(http.StatusOK)
		_, _ = x.Write(kept) // the client may be gone
	}
}
