package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// errClientGone is why work was stopped: nobody is left to read the answer.
var errClientGone = errors.New("the client is gone")

// aborter is work that can be stopped while another goroutine waits for it. abort must not block.
type aborter interface{ abort() }

// function is what answers requests: a proxy, a process for each request, or a folder of files.
type function interface {
	serve(x *exchange, r *http.Request)
}

// exchange is one request to the function and its answer. It is the http.ResponseWriter that the
// function writes to, and it remembers what the access log and the metrics say afterwards.
type exchange struct {
	http.ResponseWriter
	conn    *clientConn // nil where the request did not come from a connection
	body    *openBody   // nil where there is none, or it has been read already
	http11  bool
	started time.Time
	status  int
	written int64
	note    string       // for the log: why the answer is not the function's own
	leaving *atomic.Bool // a drain has begun; nil where none can

	mu        sync.Mutex
	answering bool
	finished  bool
	gone      bool
	work      aborter
}

// begin makes an exchange of w and r.
func begin(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{ResponseWriter: w, started: time.Now()}
	if c := connOf(r); c != nil {
		x.conn = c
		x.http11 = r.ProtoAtLeast(1, 1)
		c.attach(x)
		x.openBody(r)
	}
	return x
}

// openBody is a request's body that may be read while the answer is being sent.
type openBody struct {
	io.ReadCloser
	ended atomic.Bool
}

func (b *openBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
	}
	return n, err
}

// openBody lets the body of r be read while the answer is being sent, and an answer be sent without it: the server
// would wait for it first. Nor does the server look then whether it has been read to its end, and would take the rest of
// it for the next request; end sees to that.
func (x *exchange) openBody(r *http.Request) {
	if _, read := x.ResponseWriter.(*plainWriter); read || r.Body == http.NoBody {
		return
	}
	_ = http.NewResponseController(x.ResponseWriter).EnableFullDuplex() // every writer of a connection can
	x.body = &openBody{ReadCloser: r.Body}
	r.Body = x.body
}

// unread reports whether some of the request's body is still to be read.
func (x *exchange) unread() bool { return x.body != nil && !x.body.ended.Load() }

// end detaches the exchange from its connection: the next request may follow.
func (x *exchange) end() {
	if x.unread() {
		x.conn.refuse()
		// The server closes it as well, but only once it waits for the next request: if the rest of the body was read
		// already, that ends in two reads at the same time, which is a panic.
		_ = x.body.ReadCloser.Close() // what is left of it is not wanted
	}
	x.mu.Lock()
	x.finished = true
	x.work = nil
	x.mu.Unlock()
	if x.conn != nil {
		x.conn.attach(nil)
	}
}

// detach takes the exchange off its connection, which carries another protocol from here on: nothing of HTTP may be
// written to it any more.
func (x *exchange) detach() {
	x.mu.Lock()
	x.answering = true
	x.mu.Unlock()
	x.conn.attach(nil)
}

// onGone has work aborted when the client goes away; at once if it is gone already.
func (x *exchange) onGone(work aborter) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.work = work
	if x.gone && work != nil {
		work.abort()
	}
}

// leave says that the client is gone. Work is aborted under the lock, so that it is never aborted after
// onGone(nil) has returned.
func (x *exchange) leave() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.gone {
		return
	}
	x.gone = true
	if x.work != nil {
		x.work.abort()
	}
}

func (x *exchange) isGone() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.gone
}

func (x *exchange) isFinished() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.finished
}

// WriteHeader sends the status line and the headers. The first final status is the exchange's.
func (x *exchange) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		if x.status != 0 {
			return
		}
		x.status = status
		x.Header()["X-Duration-Seconds"] = []string{x.seconds()}
		if x.leaving != nil && x.leaving.Load() && status != http.StatusSwitchingProtocols {
			// A client that is told goes elsewhere with its next request. One that is not would lose it, if it comes when the
			// connection is closed.
			x.Header()["Connection"] = []string{"close"}
		}
	}
	x.mu.Lock()
	x.answering = x.answering || x.status != 0
	x.ResponseWriter.WriteHeader(status)
	x.mu.Unlock()
}

func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	n, err := x.ResponseWriter.Write(p)
	x.written += int64(n)
	return n, err
}

// ReadFrom copies r to the client, without copying it through this process where the system can.
func (x *exchange) ReadFrom(r io.Reader) (int64, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if to, ok := x.ResponseWriter.(io.ReaderFrom); ok {
		n, err := to.ReadFrom(r)
		x.written += n
		return n, err
	}
	n, err := io.Copy(x.ResponseWriter, r)
	x.written += n
	return n, err
}

// Flush sends what has been written so far.
func (x *exchange) Flush() {
	if f, ok := x.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Hijack takes the connection from the server, for a protocol other than HTTP.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h, ok := x.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, http.ErrNotSupported
	}
	return h.Hijack()
}

// Unwrap lets http.ResponseController reach the server's writer.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// mark says that the answer is not the function's but by's.
func (x *exchange) mark(by string) {
	x.Header()["X-Openfaas-Internal"] = []string{by}
	x.leaveBody()
}

// leaveBody says that the connection ends with the answer if some of the request's body is still to be read, which nobody
// will do.
func (x *exchange) leaveBody() {
	if x.unread() {
		x.Header()["Connection"] = []string{"close"}
	}
}

// failLimit is how long an error of the watchdog's own may take to be sent.
const failLimit = time.Second

// fail answers with an error of the watchdog's own, marked as such; if the answer has begun it cuts it
// off, so that no client takes half an answer for a whole one.
func (x *exchange) fail(status int, why, note string) {
	if note != "" {
		x.note = note
	}
	if x.status != 0 {
		panic(http.ErrAbortHandler)
	}
	h := x.Header()
	last := h["Connection"]
	clear(h)
	if last != nil {
		h["Connection"] = last
	}
	x.mark("of-watchdog")
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	// The server's write_timeout may have run out together with exec_timeout or read_timeout.
	_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Now().Add(failLimit)) // best effort
	x.WriteHeader(status)
	if why != "" {
		_, _ = io.WriteString(x, why) // the client may be gone; nothing else can be told
	}
}

func (x *exchange) seconds() string {
	return strconv.FormatFloat(time.Since(x.started).Seconds(), 'f', 6, 64)
}

// halfClosed is called when the client has closed its sending side. That is allowed and its answer is
// owed; but most clients that do it have closed the other side too. Where the answer takes long, an
// interim 102 response finds out: who still reads ignores it, who is gone resets the connection.
func (x *exchange) halfClosed() {
	time.Sleep(halfCloseGrace)
	x.mu.Lock()
	if x.answering || x.finished || !x.http11 {
		x.mu.Unlock()
		return
	}
	_, err := io.WriteString(x.conn, "HTTP/1.1 102 Processing\r\n\r\n")
	x.mu.Unlock()
	for wait := time.Millisecond; err == nil && wait < 2*time.Second && !x.isFinished(); wait *= 2 {
		time.Sleep(wait)
		err = x.conn.socket.Failed()
	}
	if err != nil && !x.isFinished() {
		x.leave()
	}
}

// halfCloseGrace is how long an answer may take before a half-closed client is asked if it still reads.
const halfCloseGrace = 250 * time.Millisecond
