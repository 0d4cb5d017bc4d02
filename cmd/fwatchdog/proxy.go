package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"fnb/cmd/fwatchdog/internal/wire"
)

const (
	copyBuffer  = 32 << 10  // for answers that may come in drops
	largeBuffer = 512 << 10 // for answers known to be large; fewer and larger reads are half the work
	largeFrom   = 128 << 10
	interimMost = 100      // interim responses before an answer
	pieceBuffer = 63 << 10 // for requests: loopback carries at most 65,463 bytes as one packet, and the rest as another
)

// proxy is http mode: it passes requests on to the server that the function's process runs.
type proxy struct {
	up     *upstream
	exec   time.Duration
	buffer bool            // read each body whole before it is sent
	most   int             // bytes of such a body
	ready  <-chan struct{} // closed once the upstream listens
	heads  sync.Pool
	pieces sync.Pool
	copies sync.Pool
	larges sync.Pool
}

func newProxy(up *upstream, c *config, ready <-chan struct{}) *proxy {
	p := &proxy{up: up, exec: c.execTimeout, buffer: c.bufferBody, most: c.bodyMost, ready: ready}
	p.heads.New = func() any { b := make([]byte, 0, 4<<10); return &b }
	p.pieces.New = func() any { b := make([]byte, pieceBuffer); return &b }
	p.copies.New = func() any { b := make([]byte, copyBuffer); return &b }
	p.larges.New = func() any { b := make([]byte, largeBuffer); return &b }
	return p
}

// buffers returns a pool of buffers for an answer of the given length.
func (p *proxy) buffers(length int64) *sync.Pool {
	if length >= largeFrom {
		return &p.larges
	}
	return &p.copies
}

// timeLimit is how long r may take: exec_timeout, or less where the caller's X-Timeout says so.
// 0 is no limit.
func timeLimit(r *http.Request, exec time.Duration) time.Duration {
	if wanted := r.Header["X-Timeout"]; wanted != nil {
		if d, err := time.ParseDuration(wanted[0]); err == nil && d > 0 && (exec == 0 || d <= exec) {
			return d
		}
	}
	return exec
}

// deadlineOf is when x has to be done; the zero time is never. A request's own deadline, which only a
// platform's event has, goes before exec_timeout.
func deadlineOf(x *exchange, r *http.Request, exec time.Duration) time.Time {
	if deadline, ok := r.Context().Deadline(); ok {
		return deadline
	}
	if limit := timeLimit(r, exec); limit > 0 {
		return x.started.Add(limit)
	}
	return time.Time{}
}

// roundTrip is one request on its way to the function and its answer on the way back.
type roundTrip struct {
	*proxy
	x        *exchange
	r        *http.Request
	sender   *sender   // nil: the body goes with the head, or there is none
	deadline time.Time // the zero time is never
}

// serve passes r on and answers with what the upstream answers.
func (p *proxy) serve(x *exchange, r *http.Request) {
	t := roundTrip{proxy: p, x: x, r: r, deadline: deadlineOf(x, r, p.exec)}
	if !p.awaitReady(x, t.deadline) {
		return
	}
	pooled, _ := p.heads.Get().(*[]byte) // New makes nothing else
	defer p.heads.Put(pooled)
	out, err := t.prepare((*pooled)[:0])
	if err != nil {
		x.failBody(err)
		return
	}
	if cap(out) <= 2*wire.SmallBody {
		*pooled = out[:0]
	}
	conn, a, err := t.exchangeHeads(out)
	switch {
	case err != nil:
		t.fail(err)
	case a.Status == http.StatusSwitchingProtocols:
		t.switchProtocols(conn)
	default:
		t.answer(conn, a)
	}
}

// awaitReady holds a request that comes before the upstream listens.
func (p *proxy) awaitReady(x *exchange, deadline time.Time) bool {
	select {
	case <-p.ready:
		return true
	default:
	}
	var expired <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	gone := make(goneSignal)
	x.onGone(gone)
	defer x.onGone(nil)
	select {
	case <-p.ready:
		return true
	case <-gone:
		x.fail(wire.StatusClientGone, "", "client closed the connection")
	case <-expired:
		x.fail(http.StatusGatewayTimeout, "", "the function did not listen in time")
	}
	return false
}

// goneSignal is closed when the client goes away.
type goneSignal chan struct{}

func (g goneSignal) abort() { close(g) }

// prepare writes the head onto out, and after it a body that is small or to be buffered. Any other
// body gets a sender.
func (t *roundTrip) prepare(out []byte) ([]byte, error) {
	r := t.r
	length := r.ContentLength
	expects := wire.Listed(r.Header["Expect"], "100-continue")
	switch {
	case length == 0:
		return t.up.route.AppendRequest(out, r, 0), nil
	case t.buffer:
		return t.prepareWhole(r, out)
	case length > 0 && length <= wire.SmallBody && !expects:
		out = t.up.route.AppendRequest(out, r, length)
		start := len(out)
		out = append(out, make([]byte, length)...)
		_, err := io.ReadFull(r.Body, out[start:])
		return out, err
	}
	t.sender = newSender(t.proxy, r, expects)
	out = t.up.route.AppendRequest(out, r, length)
	if t.x.conn == nil || length < 0 || expects {
		return out, nil
	}
	return t.sender.begin(t.x.conn, out)
}

// prepareWhole writes the head of r and its whole body onto out. Memory is taken as the body arrives.
func (p *proxy) prepareWhole(r *http.Request, out []byte) ([]byte, error) {
	if r.ContentLength > int64(p.most) {
		return out, errTooLong
	}
	r.Header.Del("Expect") // the body will be there
	if r.ContentLength > 0 {
		return readWhole(p.up.route.AppendRequest(out, r, r.ContentLength), r.Body, int(r.ContentLength))
	}
	body, err := readWhole(nil, r.Body, p.most)
	if err != nil {
		return out, err
	}
	return append(p.up.route.AppendRequest(out, r, int64(len(body))), body...), nil
}

// failBody answers a request whose body could not be read.
func (x *exchange) failBody(err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		x.fail(http.StatusRequestTimeout, "", "the request's body did not arrive within read_timeout")
	case errors.Is(err, errTooLong):
		x.fail(http.StatusRequestEntityTooLarge, "", "the request's body is "+err.Error())
	case x.isGone(), isReset(err):
		x.fail(wire.StatusClientGone, "", "client closed the connection")
	default:
		x.fail(http.StatusBadRequest, "", "reading the request's body: "+err.Error())
	}
}

// exchangeHeads sends the request and reads the head of the answer, past all interim ones. A request
// that a kept connection lost without a byte of answer is sent again on a new one, if it may be.
func (t *roundTrip) exchangeHeads(out []byte) (*upstreamConn, *wire.Answer, error) {
	x, s := t.x, t.sender
	again := replayable(t.r)
	for fresh := false; ; fresh = true {
		take := t.up.get
		if fresh {
			take = t.up.dial
		}
		conn, err := take(t.deadline)
		if err != nil {
			return nil, nil, fmt.Errorf("connecting to the function: %w", err)
		}
		conn.limit(t.deadline)
		x.onGone(conn)
		sent, err := conn.Write(out)
		if err == nil {
			if s != nil {
				s.start(conn)
			}
			var a *wire.Answer
			if a, err = t.readFinal(conn); err == nil {
				return conn, a, nil
			}
		}
		x.onGone(nil)
		conn.abort()
		_ = conn.Close() // the first error is the one to tell
		if s != nil && s.started {
			if cause := s.stop(x); cause != nil {
				return nil, nil, cause
			}
			return nil, nil, err
		}
		untouched := sent == 0 || errors.Is(err, errSilent) && again
		if !conn.used || !untouched || x.isGone() {
			return nil, nil, err
		}
	}
}

// replayable reports whether sending r twice is the same as sending it once (RFC 9110, 9.2.2).
func replayable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return r.Header["Idempotency-Key"] != nil
}

// readFinal reads heads until a final one, and passes interim ones on.
func (t *roundTrip) readFinal(conn *upstreamConn) (*wire.Answer, error) {
	x, r, s := t.x, t.r, t.sender
	if _, err := conn.in.Peek(1); err != nil {
		if errors.Is(err, io.EOF) || isReset(err) {
			err = errSilent
		}
		return nil, fmt.Errorf("waiting for the function's answer: %w", err)
	}
	h := x.Header()
	keep := h["Connection"]
	for interim := 0; interim < interimMost; interim++ {
		clear(h)
		a, err := wire.ReadAnswer(conn.in, r.Method, h)
		switch {
		case err != nil:
			clear(h)
			return nil, fmt.Errorf("reading the function's answer: %w", err)
		case a.Status >= 200:
			if s != nil && s.decide(false) {
				a.Last = true // the body was not wanted, so it is not sent
			}
			if keep != nil {
				h["Connection"] = keep
			}
			return a, nil
		case a.Status == http.StatusSwitchingProtocols:
			if asked := wire.Upgrade(r.Header); len(h["Upgrade"]) != 1 || !wire.Listed([]string{asked}, h["Upgrade"][0]) {
				return nil, fmt.Errorf("%w: 101 to %q, asked for %q", wire.ErrMalformed, h["Upgrade"], asked)
			}
			h["Connection"] = []string{"Upgrade"}
			return a, nil
		case a.Status == http.StatusContinue:
			if s != nil {
				s.decide(true)
			}
		case r.ProtoAtLeast(1, 1):
			x.WriteHeader(a.Status)
		}
	}
	return nil, fmt.Errorf("%w: more than %d interim responses", wire.ErrMalformed, interimMost)
}

// errSilent says that the connection ended before the answer began.
var errSilent = errors.New("the connection was closed without an answer")

// fail answers a request that got no answer from the function.
func (t *roundTrip) fail(err error) {
	x := t.x
	var bad *bodyError
	switch {
	case errors.As(err, &bad):
		x.failBody(bad.err)
	case x.isGone():
		x.fail(wire.StatusClientGone, "", "client closed the connection")
	case errors.Is(err, os.ErrDeadlineExceeded) && !t.deadline.IsZero():
		x.fail(http.StatusGatewayTimeout, "", "killed due to exec_timeout")
	default:
		x.fail(http.StatusInternalServerError, "", err.Error())
	}
}

// answer passes the upstream's answer on.
func (t *roundTrip) answer(conn *upstreamConn, a *wire.Answer) {
	x, s := t.x, t.sender
	h := x.Header()
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // nothing is to be guessed
	}
	x.WriteHeader(a.Status)
	err := t.copyBody(x, t.r, conn, a)
	if s != nil {
		if !s.finished() {
			a.Last = true
		}
		if err != nil || a.Last {
			conn.abort()
		}
		if cause := s.stop(x); err == nil && cause != nil {
			a.Last = true
		}
	}
	x.onGone(nil)
	if err == nil && !a.Last {
		t.up.put(conn, a.Bodiless)
		return
	}
	_ = conn.Close() // nothing is expected from it any more
	if err != nil {
		switch {
		case x.isGone():
			x.note = "client closed the connection"
		case errors.Is(err, os.ErrDeadlineExceeded) && !t.deadline.IsZero():
			x.note = "cut off: killed due to exec_timeout"
		default:
			x.note = "cut off: " + err.Error()
		}
		panic(http.ErrAbortHandler)
	}
}
