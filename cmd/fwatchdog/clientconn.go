package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
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
	raw    syscall.RawConn
	direct io.ReadWriter

	mu      sync.Mutex
	current *exchange
	linger  bool
	refused bool
	reads   [][]byte // what was read since the last request ended, for framing
	one     [1]byte
	pending []byte // read already, by the lane that the connection comes from
}

// attach names the exchange that the connection carries; nil for none.
func (c *clientConn) attach(x *exchange) {
	c.mu.Lock()
	c.current = x
	if x == nil {
		c.reads = c.reads[:0]
	}
	c.mu.Unlock()
}

func (c *clientConn) Read(p []byte) (int, error) {
	var n int
	var err error
	switch {
	case c.isRefused():
		return 0, io.EOF
	case len(c.pending) > 0:
		n = copy(p, c.pending)
		c.pending = c.pending[n:]
	default:
		n, err = c.direct.Read(p)
	}
	c.mu.Lock()
	switch {
	case n == 0 || c.current != nil && n > 1:
	case n == 1:
		c.one[0] = p[0]
		c.reads = append(c.reads, c.one[:])
	case len(c.reads) < 8:
		c.reads = append(c.reads, p[:n])
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
	return n, err
}

func (c *clientConn) Write(p []byte) (int, error) { return c.direct.Write(p) }

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

// doubtful reports whether r, a chunked request, may have carried a Content-Length as well, which the
// server has already dropped. Such a request is answered by its chunks and the connection is closed
// after it (RFC 9112, 6.3), for whoever stands in front may have seen another end of the body.
func (c *clientConn) doubtful(r *http.Request) bool {
	c.mu.Lock()
	head := bytes.Join(c.reads, nil)
	c.mu.Unlock()
	if !bytes.HasPrefix(head, []byte(r.Method+" "+r.RequestURI+" ")) {
		return true
	}
	end := bytes.Index(head, []byte("\n\r\n"))
	if end < 0 {
		return true
	}
	return bytes.Contains(bytes.ToLower(head[:end]), []byte("\ncontent-length"))
}
