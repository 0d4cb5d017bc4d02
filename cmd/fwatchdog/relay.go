package main

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"fnb/cmd/fwatchdog/internal/wire"
)

// bodyError is an error in reading the client's body, as opposed to one in writing it to the upstream.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "reading the request's body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// sender sends a request's body to the upstream while the answer is being read.
type sender struct {
	p       *proxy
	r       *http.Request
	chunked bool
	decided chan bool // whether to send: the answer to Expect: 100-continue
	once    sync.Once
	waited  bool // a decision is waited for
	started bool
	ending  atomic.Bool               // nothing is left but the last write, or its end
	bad     atomic.Pointer[bodyError] // set before the connection is aborted for it
	done    chan struct{}
	err     error // why the body has not been sent whole; valid once done
	ended   bool
	left    int64 // of a body whose length is known
	piece   *[]byte
}

func newSender(p *proxy, r *http.Request, expects bool) *sender {
	s := &sender{p: p, r: r, chunked: r.ContentLength < 0, left: r.ContentLength, done: make(chan struct{})}
	if expects {
		s.decided, s.waited = make(chan bool, 1), true
	}
	return s
}

// decide tells a sender that waits for it whether the body is wanted. It reports whether that has kept
// the body from being sent.
func (s *sender) decide(wanted bool) bool {
	first := false
	if s.waited {
		s.once.Do(func() {
			s.decided <- wanted
			first = true
		})
	}
	return first && !wanted
}

func (s *sender) start(conn *upstreamConn) {
	s.started = true
	go func() {
		defer close(s.done)
		if s.waited && !s.awaitContinue() {
			s.err = errNotSent
			return
		}
		s.err = s.send(conn)
		s.ended = s.err == nil
		var bad *bodyError
		if errors.As(s.err, &bad) {
			s.bad.Store(bad)
			conn.abort() // half a body must not be answered
		}
	}()
}

// errNotSent says that the upstream answered before the body was asked for.
var errNotSent = errors.New("the body was not sent")

// awaitContinue waits for the upstream's word, but not for long: a server that does not know
// Expect waits for the body.
func (s *sender) awaitContinue() bool {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case wanted := <-s.decided:
		return wanted
	case <-timer.C:
	}
	sendAnyway := s.decide(true)
	return !sendAnyway && <-s.decided
}

// begin puts what has arrived of the body after its head, so that the upstream wakes once for both. A head never
// waits for its body.
func (s *sender) begin(conn *clientConn, head []byte) ([]byte, error) {
	if len(head) > pieceBuffer/2 || !conn.socket.Readable() {
		return head, nil
	}
	s.piece, _ = s.p.pieces.Get().(*[]byte) // New makes nothing else
	out := append((*s.piece)[:0], head...)
	for len(out) < pieceBuffer && s.left > 0 && conn.socket.Readable() {
		n, err := s.r.Body.Read(out[len(out):pieceBuffer])
		out = out[:len(out)+n]
		s.left -= int64(n)
		if err != nil && !errors.Is(err, io.EOF) {
			return out, err
		}
	}
	s.ending.Store(s.left == 0)
	return out, nil
}

// send copies the body.
func (s *sender) send(conn *upstreamConn) error {
	if s.piece == nil {
		s.piece, _ = s.p.pieces.Get().(*[]byte) // New makes nothing else
	}
	defer s.p.pieces.Put(s.piece)
	buf := *s.piece
	const room = 64 // for the chunk size and line end, before the data, which is aligned for the system's copying
	for {
		n, err := s.r.Body.Read(buf[room : len(buf)-2])
		if n > 0 {
			out := buf[room : room+n]
			if s.chunked {
				out = wire.FrameChunk(buf, room, n)
			}
			s.left -= int64(n)
			s.ending.Store(s.left == 0 && !s.chunked)
			if _, werr := conn.Write(out); werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &bodyError{err}
		}
	}
	if !s.chunked {
		return nil
	}
	s.ending.Store(true)
	_, err := conn.Write(wire.AppendTrailer(buf[:0], s.r.Trailer))
	return err
}

// finished reports whether the whole body has been sent. The answer may arrive a moment before the last
// write of the body returns.
func (s *sender) finished() bool {
	if s.ending.Load() {
		<-s.done
		return s.ended
	}
	select {
	case <-s.done:
		return s.ended
	default:
		return false
	}
}

// stop ends the sending, waits for it, and returns an error of reading the client's body. The
// connection to the upstream must be closed or aborted, or the answer complete.
func (s *sender) stop(x *exchange) error {
	if !s.started {
		return nil
	}
	s.decide(false)
	bad := s.bad.Load() // before the read is ended here, which fails it too
	select {
	case <-s.done:
		bad = s.bad.Load()
	default:
		// What the client still sends is not wanted; this unblocks the read of it.
		_ = http.NewResponseController(x.ResponseWriter).SetReadDeadline(time.Unix(1, 0)) // an event's body never blocks
		<-s.done
	}
	if bad == nil {
		return nil
	}
	return bad
}

// copyBody passes the answer's body on, and after a chunked one its trailer.
func (p *proxy) copyBody(x *exchange, r *http.Request, conn *upstreamConn, a *wire.Answer) error {
	if a.Length == 0 {
		return nil
	}
	if a.Length > 0 {
		return p.copyKnown(x, conn, a.Length)
	}
	if err := p.copyUnknown(x, conn, a); err != nil {
		return err
	}
	if !a.Chunked {
		return nil
	}
	trailer, err := wire.ReadTrailer(conn.in)
	if err != nil || len(trailer) == 0 || !r.ProtoAtLeast(1, 1) {
		return err
	}
	passTrailer(x, trailer)
	return nil
}

// passTrailer announces fields that the upstream had not, in the server's own way.
func passTrailer(x *exchange, trailer http.Header) {
	h := x.Header()
	announced := h["Trailer"]
	x.Flush() // from here on the answer is chunked, as a trailer needs
	for name, values := range trailer {
		if !wire.Listed(announced, name) {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}

// copyKnown passes length bytes on: what is buffered first, then straight from the connection. Moving them
// in the kernel (splice) was tried; the small segments it makes cost the receiver more than it saves here.
func (p *proxy) copyKnown(x *exchange, conn *upstreamConn, length int64) error {
	buffered := min(int64(conn.in.Buffered()), length)
	if buffered > 0 {
		part, err := conn.in.Peek(int(buffered))
		if err != nil {
			return err
		}
		if _, err := x.Write(part); err != nil {
			x.leave()
			return err
		}
		_, _ = conn.in.Discard(len(part)) // they are there
		length -= buffered
	}
	if length == 0 {
		return nil
	}
	return p.copyAll(x, &io.LimitedReader{R: conn, N: length}, nil, length)
}

// copyUnknown passes a body of unknown length on as it comes: what has arrived is never held back.
func (p *proxy) copyUnknown(x *exchange, conn *upstreamConn, a *wire.Answer) error {
	return p.copyAll(x, a.Body(conn.in), conn, wire.UnknownLength)
}

// copyAll copies body to the client; with flush it sends each part as soon as no more has arrived.
func (p *proxy) copyAll(x *exchange, body io.Reader, flush *upstreamConn, length int64) error {
	pool := p.buffers(length)
	pooled, _ := pool.Get().(*[]byte) // New makes nothing else
	defer pool.Put(pooled)
	for total := int64(0); ; {
		n, err := body.Read(*pooled)
		if n > 0 {
			total += int64(n)
			if _, werr := x.Write((*pooled)[:n]); werr != nil {
				x.leave()
				return werr
			}
			if flush != nil && flush.in.Buffered() == 0 {
				x.Flush()
			}
		}
		switch {
		case length != wire.UnknownLength && total == length:
			return nil
		case errors.Is(err, io.EOF) && length != wire.UnknownLength:
			return io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
