package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"fnb/internal/plain"
	"fnb/origin"
)

// lastWords is how long a server may take to say why it has ended.
const lastWords = 2 * time.Second

// A streamWire speaks git's protocol over one connection, in one go: to git's own
// daemon, or to the program that a connection by SSH has started.
type streamWire struct {
	// open connects to a service.
	open func(ctx context.Context, service string) (*stream, error)

	now *stream
}

// A stream is a connection to a service.
type stream struct {
	in    io.Writer
	out   io.Reader
	words func() string // what was said beside, once the other side has ended; nil for nothing
	stop  func() error  // ends it, at any time; called once
	once  sync.Once
	err   error
}

func (s *stream) close() error {
	s.once.Do(func() { s.err = s.stop() })
	return s.err
}

// hello implements [wire].
func (w *streamWire) hello(ctx context.Context, service string) (io.ReadCloser, error) {
	s, err := w.open(ctx, service)
	if err != nil {
		return nil, err
	}
	w.now = s
	return w.listen(ctx), nil
}

// ask implements [wire].
func (w *streamWire) ask(ctx context.Context, _ string, question io.Reader, _ int) (io.ReadCloser, error) {
	body := w.listen(ctx)
	if _, err := io.Copy(w.now.in, question); err != nil {
		_ = body.Close() // it has failed
		if words := w.said(); words != "" && ctx.Err() == nil {
			return nil, asSaid(words)
		}
		return nil, err
	}
	return body, nil
}

// listen is what comes, until ctx ends, and the stream with it.
func (w *streamWire) listen(ctx context.Context) io.ReadCloser {
	stop := context.AfterFunc(ctx, func() { _ = w.now.close() }) // whoever reads is told
	return &teedBody{&contextReader{ctx: ctx, r: w.now.out}, closeFunc(func() error { stop(); return nil })}
}

type closeFunc func() error

// Close implements [io.Closer].
func (c closeFunc) Close() error { return c() }

// said implements [wire].
func (w *streamWire) said() string {
	if w.now == nil || w.now.words == nil {
		return ""
	}
	return plain.Short(w.now.words())
}

// close implements [wire].
func (w *streamWire) close() error {
	if w.now == nil {
		return nil
	}
	return w.now.close()
}

// daemonWire speaks to git's own daemon.
func (r *Remote) daemonWire(ep *transport.Endpoint) *streamWire {
	host := hostPort(ep)
	return &streamWire{open: func(ctx context.Context, service string) (*stream, error) {
		conn, err := r.connectTo(ctx, net.JoinHostPort(bare(ep.Host), strconv.Itoa(portOr(ep, 9418))))
		if err != nil {
			return nil, err
		}
		greeting := packp.GitProtoRequest{RequestCommand: service, Pathname: ep.Path, Host: host}
		if err := greeting.Encode(conn); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return &stream{in: conn, out: conn, stop: conn.Close}, nil
	}}
}

// connectTo connects to an address, and takes no host that is nearer than may be.
func (r *Remote) connectTo(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	reach := origin.Public
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		reach = origin.ReachOf(tcp.AddrPort().Addr())
	}
	if reach < r.least() && !r.client.opts.anywhere(host) {
		return nil, errors.Join(&origin.ReachError{Host: host, Reach: reach}, conn.Close())
	}
	r.reach = reach
	return conn, nil
}

// portOr is an endpoint's port.
func portOr(ep *transport.Endpoint, usual int) int {
	if ep.Port > 0 {
		return ep.Port
	}
	return usual
}

// bare is an IPv6 address without brackets, as those who connect want it.
func bare(host string) string {
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		return host[1 : n-1]
	}
	return host
}

// hostPort is an endpoint's host, with its port where it has one.
func hostPort(ep *transport.Endpoint) string {
	if ep.Port == 0 {
		return ep.Host
	}
	return fmt.Sprintf("%s:%d", ep.Host, ep.Port)
}
