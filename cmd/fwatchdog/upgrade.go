package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"fnb/cmd/fwatchdog/internal/wire"
)

// upgradeGrace is how long one direction of an upgraded connection may be silent after the other has ended. A side that
// has said all it has to say may still listen; one that is gone looks the same, and must not hold its place.
const upgradeGrace = time.Second

// switchProtocols joins the two connections after a 101 answer, for as long as exec_timeout allows.
func (t *roundTrip) switchProtocols(conn *upstreamConn) {
	x, s := t.x, t.sender
	defer conn.Close() //nolint:errcheck // both directions have ended
	if s != nil {
		<-s.done // what a client still says of its request belongs to no other protocol (RFC 9110, 7.8)
		if !s.ended {
			conn.abort()
			t.fail(s.err)
			return
		}
	}
	x.onGone(nil)
	rc := http.NewResponseController(x.ResponseWriter)
	h := x.Header().Clone()
	client, buffered, err := rc.Hijack()
	if err != nil {
		clear(x.Header())
		x.fail(http.StatusNotImplemented, "", "switching protocols: "+err.Error())
		return
	}
	defer client.Close() //nolint:errcheck // both directions have ended
	x.detach()
	x.conn.leaveHTTP()
	x.status = http.StatusSwitchingProtocols
	_ = client.SetDeadline(t.deadline) // also takes back the server's own
	h["X-Duration-Seconds"] = []string{x.seconds()}
	head := append([]byte(nil), "HTTP/1.1 101 Switching Protocols\r\n"...)
	for name, values := range h {
		for _, value := range values {
			head = wire.AppendField(head, name, value)
		}
	}
	if _, err := client.Write(append(head, "\r\n"...)); err != nil {
		return
	}
	u := &upgraded{client: client, upstream: conn.Conn, deadline: t.deadline}
	x.written += u.join(buffered.Reader, conn.in)
}

// upgraded is two connections that pass on what the other one says.
type upgraded struct {
	client, upstream net.Conn
	deadline         time.Time // of both; the zero time is none

	mu    sync.Mutex
	ended bool // one direction has ended, at its sender's wish
	cut   bool // nothing is passed on any more
}

// join passes everything on until both directions have ended, or one has failed. It returns how many bytes the client got.
func (u *upgraded) join(fromClient, fromUpstream *bufio.Reader) int64 {
	done := make(chan struct{})
	go func() {
		defer close(done)
		u.pass(u.upstream, fromClient)
	}()
	n := u.pass(u.client, fromUpstream)
	<-done
	return n
}

// pass passes one direction on as it comes. It takes no memory besides the reader's.
func (u *upgraded) pass(to net.Conn, from *bufio.Reader) (passed int64) {
	for {
		_, err := from.Peek(1)
		if err != nil {
			u.end(to, err)
			return passed
		}
		part, _ := from.Peek(from.Buffered()) // it is there
		n, err := to.Write(part)
		passed += int64(n)
		if err != nil {
			u.end(to, err)
			return passed
		}
		_, _ = from.Discard(n) // it is there
		u.mu.Lock()
		if u.ended {
			u.limit()
		}
		u.mu.Unlock()
	}
}

// end ends one direction. At the end of what there is to be said the other one may go on; after an error nothing may.
func (u *upgraded) end(to net.Conn, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	if !errors.Is(err, io.EOF) {
		u.cut = true
	} else {
		closeWrite(to)
	}
	u.limit()
}

// limit lets whatever is left last until upgradeGrace from now, or ends it where nothing may be. Callers hold the lock.
func (u *upgraded) limit() {
	until := time.Now().Add(upgradeGrace)
	switch {
	case u.cut:
		until = time.Unix(1, 0)
	case !u.deadline.IsZero() && u.deadline.Before(until):
		until = u.deadline
	}
	_ = u.client.SetDeadline(until) // a closed connection fails anyway
	_ = u.upstream.SetDeadline(until)
}

// closeWrite ends the sending side of a connection, or all of it where it has no sides.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // the other direction goes on regardless
		return
	}
	_ = c.Close() // nothing else can be done
}
