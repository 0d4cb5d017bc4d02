package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"fnb/cmd/fwatchdog/internal/rawio"
	"fnb/cmd/fwatchdog/internal/wire"
	"fnb/internal/framing"
)

const (
	plainHead   = 8 << 10 // a longer request head is not plain
	plainOutput = 8 << 10 // an answer up to this size is sent in one piece
	watchAfter  = 50 * time.Millisecond
)

// plainServer answers the plain requests of the connections it accepts: those with a short, strictly formed head
// and either no body or a small one of known length. That is nearly every request that a function gets,
// and it saves half the work to read them here. A connection with any other request, malformed ones
// included, is handed with all its bytes to the standard library's server and stays there.
type plainServer struct {
	handler      http.Handler
	rest         *handover
	logs         *logs
	readTimeout  time.Duration
	writeTimeout time.Duration

	mu       sync.Mutex
	conns    map[*plainConn]struct{}
	draining atomic.Bool
}

func newPlainServer(handler http.Handler, c *config, l *logs, rest *handover) *plainServer {
	return &plainServer{
		handler: handler, rest: rest, logs: l, readTimeout: c.readTimeout, writeTimeout: c.writeTimeout,
		conns: map[*plainConn]struct{}{},
	}
}

// serve accepts connections until the listener is closed.
func (s *plainServer) serve(from net.Listener) error {
	for pause := time.Duration(0); ; {
		accepted, err := from.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// Out of descriptors, most likely: some will come back.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			time.Sleep(pause)
			continue
		}
		pause = 0
		if tcp, ok := accepted.(*net.TCPConn); ok {
			go s.serveConn(tcp)
		}
	}
}

// plainConn is one connection of a plainServer.
type plainConn struct {
	*clientConn
	server  *plainServer
	request http.Request // used again for each request
	base    *http.Request
	head    wire.HeadParser
	out     plainWriter
	body    memoryBody
	in      []byte // read and not yet used
	watch   *time.Timer
	watched chan struct{}
	peeked  []byte

	state         atomic.Int32
	readDeadline  time.Time
	writeDeadline time.Time
}

// The states of a plainConn: only an idle one may be closed by a drain.
const (
	connIdle = iota
	connBusy
	connClosed
)

func (s *plainServer) serveConn(tcp *net.TCPConn) {
	socket, err := rawio.NewConn(tcp)
	if err != nil {
		return // it is closed
	}
	cc := &clientConn{TCPConn: tcp, socket: socket}
	c := &plainConn{clientConn: cc, server: s, in: make([]byte, 0, 2<<10), watched: make(chan struct{}, 1)}
	c.base = (&http.Request{}).WithContext(context.WithValue(context.Background(), connKey{}, cc))
	c.out.conn = c
	c.out.header = http.Header{}
	c.watch = time.AfterFunc(time.Hour, c.watchClient)
	c.watch.Stop()
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	handed := c.serve()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	if !handed {
		_ = c.Close() // nothing is left to be told
	}
}

// serve answers requests until the connection ends or is handed over.
func (c *plainConn) serve() (handed bool) {
	for {
		end, err := c.readHead()
		if err != nil {
			return false
		}
		length, plain := 0, end > 0
		if plain {
			c.request = *c.base
			length, plain = c.head.Parse(c.in[:end], &c.request)
		}
		if !plain {
			return c.handOver()
		}
		whole := c.readBody(end, length)
		if !c.answer(!whole) {
			return false
		}
		c.in = c.in[:copy(c.in, c.in[end+length:])]
		c.in = append(c.in, c.peeked...)
		c.peeked = c.peeked[:0]
		if c.server.draining.Load() || !c.state.CompareAndSwap(connBusy, connIdle) {
			return false
		}
	}
}

// handOver gives the connection and what was read of it to the standard server.
func (c *plainConn) handOver() bool {
	c.clientConn.handOver(bytes.Clone(c.in))
	_ = c.SetDeadline(time.Time{}) // the server sets its own
	return c.server.rest.give(c.clientConn)
}

// readHead reads until the end of a request's head, and returns where that is; 0 if the head is not plain.
func (c *plainConn) readHead() (int, error) {
	c.limitRead()
	empty := 0
	for from := 0; ; {
		for ; empty < framing.EmptyLines && bytes.HasPrefix(c.in, []byte("\r\n")); empty++ {
			c.in = c.in[:copy(c.in, c.in[2:])]
		}
		if len(c.in) > 0 && (c.in[0] != '\r' || len(c.in) > 1 || empty == framing.EmptyLines) {
			if !c.state.CompareAndSwap(connIdle, connBusy) && c.state.Load() == connClosed {
				return 0, net.ErrClosed
			}
			if at := bytes.Index(c.in[from:], []byte("\r\n\r\n")); at >= 0 {
				return from + at + len("\r\n\r\n"), nil
			}
			if len(c.in) >= plainHead || !looksLikeHTTP(c.in) {
				return 0, nil
			}
			from = max(0, len(c.in)-3)
		}
		if err := c.readMore(); err != nil {
			if len(c.in) > 0 && errors.Is(err, io.EOF) {
				return 0, nil // cut off: the standard server knows what to say
			}
			return 0, err
		}
	}
}

// looksLikeHTTP is false where waiting for the end of a head would be waiting in vain.
func looksLikeHTTP(in []byte) bool {
	return in[0] >= 'A' && in[0] <= 'Z' && !bytes.Contains(in, []byte("\n\n"))
}

func (c *plainConn) readMore() error {
	if len(c.in) == cap(c.in) {
		c.in = append(c.in, make([]byte, cap(c.in))...)[:len(c.in)]
	}
	n, err := c.socket.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// readBody makes the body of length bytes, which follows the head that ends at end, the request's. It is false for one
// that broke off: whoever reads it is told.
func (c *plainConn) readBody(end, length int) (whole bool) {
	if length == 0 {
		c.request.Body = http.NoBody
		return true
	}
	for len(c.in) < end+length {
		if err := c.readMore(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			c.request.Body = io.NopCloser(io.MultiReader(bytes.NewReader(c.in[end:]), brokenOff{err}))
			return false
		}
	}
	c.body.Reset(c.in[end : end+length])
	c.request.Body = &c.body
	return true
}

// memoryBody is a request's body that has been read already.
type memoryBody struct{ bytes.Reader }

// Close has nothing to do.
func (*memoryBody) Close() error { return nil }

// brokenOff is the end of a body that broke off.
type brokenOff struct{ err error }

func (b brokenOff) Read([]byte) (int, error) { return 0, b.err }

// answer has the handler answer the request, and reports whether another one may follow; not after the last.
func (c *plainConn) answer(last bool) (again bool) {
	c.limitWrite()
	c.out.reset(&c.request)
	if last {
		c.out.header["Connection"] = []string{"close"}
	}
	c.watch.Reset(watchAfter)
	defer func() {
		c.endWatch()
		if last {
			c.refuse() // what comes is the rest of the body
		}
		if problem := recover(); problem != nil {
			again = false
			if err, ok := problem.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				fmt.Fprintf(c.server.logs, "panic: %v\n%s", problem, debug.Stack())
			}
		}
	}()
	c.server.handler.ServeHTTP(&c.out, &c.request)
	return c.out.finish() && !last
}

// watchClient notices that the client goes away while its answer takes long. What it reads belongs to
// the next request.
func (c *plainConn) watchClient() {
	var one [1]byte
	n, _ := c.clientConn.Read(one[:]) // it tells the exchange of an error
	c.peeked = append(c.peeked[:0], one[:n]...)
	c.watched <- struct{}{}
}

func (c *plainConn) endWatch() {
	if c.watch.Stop() {
		return
	}
	_ = c.SetReadDeadline(time.Unix(1, 0)) // a closed connection needs no waking
	<-c.watched
	c.readDeadline = time.Unix(1, 0)
	c.limitRead()
}

// deadlineSlack is by how much a deadline may be late, so that it need not be set for each request.
const deadlineSlack = 100 * time.Millisecond

// laterDeadline returns the deadline to set for a time limit that begins now, and whether current will
// not do. Short limits are exact.
func laterDeadline(current time.Time, limit time.Duration) (time.Time, bool) {
	if limit <= 0 {
		return time.Time{}, !current.IsZero()
	}
	least := time.Now().Add(limit)
	if limit < 50*deadlineSlack {
		return least, true
	}
	if ahead := current.Sub(least); ahead >= 0 && ahead <= deadlineSlack {
		return current, false
	}
	return least.Add(deadlineSlack), true
}

func (c *plainConn) limitRead() {
	if deadline, set := laterDeadline(c.readDeadline, c.server.readTimeout); set {
		c.readDeadline = deadline
		_ = c.SetReadDeadline(deadline) // a closed connection fails anyway
	}
}

func (c *plainConn) limitWrite() {
	if deadline, set := laterDeadline(c.writeDeadline, c.server.writeTimeout); set {
		c.writeDeadline = deadline
		_ = c.SetWriteDeadline(deadline) // a closed connection fails anyway
	}
}

// shutdown closes idle connections and waits until the others have answered; when ctx ends, it cuts them off.
func (s *plainServer) shutdown(ctx context.Context) {
	s.draining.Store(true)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		for c := range s.conns {
			if c.state.CompareAndSwap(connIdle, connClosed) || ctx.Err() != nil {
				_ = c.TCPConn.Close() // its goroutine notices
			}
		}
		left := len(s.conns)
		s.mu.Unlock()
		if left == 0 || ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// handover is the listener that the standard server accepts a plainServer's other connections from.
type handover struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandover(addr net.Addr) *handover {
	return &handover{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (h *handover) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

// Accept waits for the next connection that is handed over.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr is the address that the plainServer listens on.
func (h *handover) Addr() net.Addr { return h.addr }
