package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"fnb/cmd/fwatchdog/internal/rawio"
	"fnb/internal/framing"
)

// connKey is the context key of a request's *clientConn.
type connKey struct{}

// connContext is the server's ConnContext: it makes a request's connection known to its handler.
func connContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// clientConn is a connection from a client. It tells the exchange that it carries when and how the
// client went away, which the server's own context does not: there a closed sending side and a reset
// look the same.
type clientConn struct {
	*net.TCPConn
	socket *rawio.Conn

	mu      sync.Mutex
	current *exchange
	linger  bool
	refused bool
	last    bool             // no other request may follow the one that is answered
	framing *framing.Framing // nil: a plainServer reads the requests, which have no chunks
	pending []byte           // read already, by the plainServer that the connection comes from
}

// connOf returns the connection that r came from; nil where it came from none.
func connOf(r *http.Request) *clientConn {
	c, _ := r.Context().Value(connKey{}).(*clientConn)
	return c
}

// admit begins a request. It is refused where what looks like one cannot be trusted to be one: after a request whose
// body was not read to its end, and after one that was the connection's last. It is the last where whoever stands in
// front may have seen another end of its body: one with both a length and chunks, which is read by its chunks
// (RFC 9112, 6.3), and one of HTTP/1.0, whose Transfer-Encoding means nothing.
func (c *clientConn) admit(r *http.Request) (last, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused || c.last {
		return true, false
	}
	c.last = !r.ProtoAtLeast(1, 1)
	if c.framing != nil {
		_, may := c.framing.Ambiguous(r)
		c.last = c.last || may
	}
	return c.last, true
}

// handOver makes read the connection's next bytes, which net/http reads from here on.
func (c *clientConn) handOver(read []byte) {
	c.pending, c.framing = read, framing.AfterEmptyLines() // the plainServer has taken those before the first request
}

// leaveHTTP says that what comes from here on is no request.
func (c *clientConn) leaveHTTP() {
	c.mu.Lock()
	c.framing = nil
	c.mu.Unlock()
}

// attach names the exchange that the connection carries; nil for none.
func (c *clientConn) attach(x *exchange) {
	c.mu.Lock()
	c.current = x
	c.mu.Unlock()
}

func (c *clientConn) Read(p []byte) (int, error) {
	for {
		if c.isRefused() {
			// Not the end of the stream: the server would take that for the end of the body.
			return 0, &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}
		}
		n, err := c.readSome(p)
		c.mu.Lock()
		if c.framing != nil {
			n = c.framing.Feed(p[:n])
		}
		x := c.current
		c.mu.Unlock()
		if err != nil && x != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			if errors.Is(err, io.EOF) {
				go x.halfClosed()
			} else {
				x.leave()
			}
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// readSome reads what was read already, or what comes.
func (c *clientConn) readSome(p []byte) (int, error) {
	if len(c.pending) > 0 {
		n := copy(p, c.pending)
		c.pending = c.pending[n:]
		return n, nil
	}
	return c.socket.Read(p)
}

func (c *clientConn) Write(p []byte) (int, error) { return c.socket.Write(p) }

// refuse ends the reading of requests: the last one's body was not read to its end, so that nobody knows where
// another one would begin.
func (c *clientConn) refuse() {
	c.mu.Lock()
	c.refused, c.linger = true, true
	c.mu.Unlock()
	_ = c.SetReadDeadline(time.Unix(1, 0)) // ends a read that has begun
}

func (c *clientConn) isRefused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// Close closes the connection. After refuse it first ends the answer and reads for a moment what
// the client still sends: closing at once would reset the connection, and the client might lose the
// answer it was just given.
func (c *clientConn) Close() error {
	c.mu.Lock()
	linger := c.linger
	c.linger = false
	c.mu.Unlock()
	if !linger || c.CloseWrite() != nil {
		return c.TCPConn.Close()
	}
	go func() {
		const most = 16 << 20
		_ = c.SetReadDeadline(time.Now().Add(time.Second)) // a dead connection ends the copy as well
		_, _ = io.CopyN(io.Discard, c.TCPConn, most)       // whatever it is, nobody wants it
		_ = c.TCPConn.Close()                              // nothing is left to be told
	}()
	return nil
}
