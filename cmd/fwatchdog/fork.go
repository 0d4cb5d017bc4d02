package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"fnb/cmd/fwatchdog/internal/rawio"
	"fnb/cmd/fwatchdog/internal/wire"
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
	most        int // bytes of an answer that is held until the process has succeeded
	logs        *logs
	children    *children
	copies      sync.Pool
	places      chan struct{} // for waiting on a thread, which keeps others from it; one thread is always left
}

func newForker(c *config, l *logs, kids *children, pairs []string) (*forker, error) {
	path, err := exec.LookPath(c.process[0])
	if err != nil {
		return nil, fmt.Errorf("fprocess: %w", err)
	}
	f := &forker{
		path: path, argv: c.process, environ: pairs, exec: c.execTimeout, contentType: []string{c.contentType},
		serializing: c.mode == modeSerializing, most: c.bodyMost, logs: l, children: kids,
	}
	f.places = make(chan struct{}, runtime.GOMAXPROCS(0)-1)
	f.copies.New = func() any { b := make([]byte, 32<<10); return &b }
	return f, nil
}

// serve runs the process for r.
func (f *forker) serve(x *exchange, r *http.Request) {
	deadline := deadlineOf(x, r, f.exec)
	body, ahead, err := readAhead(r)
	if err != nil {
		x.failBody(err)
		return
	}
	p, err := f.start(r, body, ahead)
	if err != nil {
		x.fail(http.StatusInternalServerError, err.Error(), err.Error())
		return
	}
	pooled, _ := f.copies.Get().(*[]byte) // New makes nothing else
	defer f.copies.Put(pooled)
	if p.endsSoon(f.places, deadline) {
		f.takeAll(x, p, *pooled)
		return
	}
	p.poll()
	x.onGone(p)
	if !deadline.IsZero() {
		timer := time.AfterFunc(time.Until(deadline), p.expire)
		defer timer.Stop()
	}
	p.pumped = make(chan struct{})
	go func() {
		defer close(p.pumped)
		f.logs.pump("stderr", &lastWords{File: p.errs})
	}()
	fed := f.feed(p, r)
	var kept []byte
	if f.serializing {
		if kept, err = readWhole(nil, p.out, f.most); errors.Is(err, errTooLong) {
			p.abort()
			kept, err = nil, fmt.Errorf("the answer is %w", err)
		}
	} else {
		err = f.stream(x, p, *pooled)
	}
	f.finish(x, p)
	if cause := <-fed; err == nil && cause != nil {
		err = cause
	}
	f.conclude(x, p, err, kept)
}

// readAhead reads a body that can be in the process's pipe before there is a process to read it.
func readAhead(r *http.Request) (body []byte, ahead bool, err error) {
	if r.ContentLength < 0 || r.ContentLength > pipeHolds {
		return nil, false, nil
	}
	if r.ContentLength > 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	}
	return body, true, err
}

// takeAll answers with the output of a process that has ended. All of it is in the pipes.
func (f *forker) takeAll(x *exchange, p *child, buf []byte) {
	defer p.close()
	p.wait(f.children)
	// A process that was left running may hold this pipe, and write to it for ever; the log does not wait for it.
	if n := rawio.InPipe(p.errsFD); n > 0 {
		f.logs.pump("stderr", io.LimitReader(rawio.PipeEnd(p.errsFD), n))
	}
	if f.serializing && !p.succeeded() {
		f.conclude(x, p, nil, nil)
		return
	}
	for {
		n, err := rawio.PipeEnd(p.outFD).Read(buf)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if n == 0 {
			f.conclude(x, p, err, nil)
			return
		}
		if x.status == 0 {
			x.Header()["Content-Type"] = f.contentType
		}
		if _, err := x.Write(buf[:n]); err != nil {
			x.leave()
			f.conclude(x, p, err, nil)
			return
		}
	}
}

// requestEnvironment adds the request to the environment: one variable for each header, as CGI has it.
func requestEnvironment(environ []string, r *http.Request) []string {
	env := make([]string, len(environ), len(environ)+len(r.Header)+6)
	copy(env, environ)
	for name, values := range r.Header {
		switch name {
		case "Method", "Query", "Path", "Transfer-Encoding", "Transfer_encoding":
			continue // these names are taken by the request itself
		case "Proxy":
			continue // as Http_Proxy it would be the proxy of Python's and Perl's clients, which read names in any case (CVE-2016-1000110)
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
func (f *forker) feed(p *child, r *http.Request) <-chan error {
	fed := make(chan error, 1)
	if p.in == nil {
		fed <- nil
		return fed
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
func (f *forker) stream(x *exchange, p *child, buf []byte) error {
	for pending := false; ; {
		n, err := p.out.Read(buf)
		if n > 0 {
			if x.status == 0 {
				x.Header()["Content-Type"] = f.contentType
			}
			if _, werr := x.Write(buf[:n]); werr != nil {
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
func (f *forker) finish(x *exchange, p *child) {
	p.wait(f.children)
	x.onGone(nil)
	if x.unread() {
		x.conn.refuse()
	}
	// Descendants that were left running keep neither the request nor the log.
	select {
	case <-p.pumped:
	default:
		giveMoment(p.errs, 100*time.Millisecond)
		<-p.pumped
	}
	p.close()
}

// conclude answers, or says why there is no whole answer.
func (f *forker) conclude(x *exchange, p *child, err error, kept []byte) {
	var bad *bodyError
	switch {
	case p.isExpired():
		x.fail(http.StatusGatewayTimeout, "", "killed due to exec_timeout")
		return
	case errors.As(err, &bad):
		x.failBody(bad.err)
		return
	case x.isGone():
		x.fail(wire.StatusClientGone, "", "client closed the connection")
		return
	case err != nil:
		x.fail(http.StatusInternalServerError, err.Error(), err.Error())
		return
	case !p.succeeded() && f.serializing:
		x.fail(http.StatusInternalServerError, p.endText(), p.endText())
		return
	case !p.succeeded():
		x.note = p.endText()
	}
	if x.status == 0 {
		x.Header()["Content-Type"] = f.contentType
		x.WriteHeader(http.StatusOK)
		_, _ = x.Write(kept) // the client may be gone
	}
}
