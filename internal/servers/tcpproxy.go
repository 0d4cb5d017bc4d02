package servers

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// A TCPFault is what becomes of a connection that has got so far.
type TCPFault struct {
	// After is how many bytes of the server's are passed on before; with Upload, of the
	// client's.
	After  int64
	Upload bool
	// Cut ends the connection. Without it nothing more is passed on in that direction,
	// and nobody is told.
	Cut bool
}

// A TCPProxy hands connections on to a server, until it is cut.
type TCPProxy struct {
	// Addr is "127.0.0.1:port".
	Addr string

	listener net.Listener
	target   string
	done     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	cut   bool
	fault *TCPFault // of the connections that are made from now on; nil for none
}

// Break makes later connections break; nil makes them whole.
func (p *TCPProxy) Break(f *TCPFault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// StartTCPProxy starts a proxy to target, a host and port.
func StartTCPProxy(ctx context.Context, target string) (*TCPProxy, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &TCPProxy{Addr: l.Addr().String(), listener: l, target: target, conns: map[net.Conn]bool{}}
	p.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.done.Go(func() { p.serve(conn) })
		}
	})
	return p, nil
}

func (p *TCPProxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target) //nolint:noctx // a port of this machine answers at once
	if err != nil {
		_ = client.Close() // as the server would
		return
	}
	if !p.keep(client, server) {
		return
	}
	defer p.drop(client, server)
	p.mu.Lock()
	fault := p.fault
	p.mu.Unlock()
	var wg sync.WaitGroup
	over := make(chan struct{})
	end := sync.OnceFunc(func() {
		close(over)
		_, _ = client.Close(), server.Close() // an end that breaks is the end of both
	})
	pass := func(to, from net.Conn, upload bool) {
		defer end()
		if fault == nil || fault.Upload != upload {
			_, _ = io.Copy(to, from) // as above
			return
		}
		if n, _ := io.CopyN(to, from, fault.After); n == fault.After && !fault.Cut {
			<-over
		}
	}
	wg.Go(func() { pass(server, client, true) })
	wg.Go(func() { pass(client, server, false) })
	wg.Wait()
}

// keep notes connections, so that they can be cut; after the cut it closes them.
func (p *TCPProxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.cut {
			_ = c.Close() // that is what a cut does
		} else {
			p.conns[c] = true
		}
	}
	return !p.cut
}

func (p *TCPProxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// Open is how many clients are connected.
func (p *TCPProxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns) / 2
}

// Cut ends all connections at once and refuses new ones.
func (p *TCPProxy) Cut() {
	_ = p.listener.Close() // it may be closed already
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.conns {
		_ = c.Close() // as above
	}
}

// Close cuts what is left and waits until it is gone.
func (p *TCPProxy) Close() error {
	p.Cut()
	p.done.Wait()
	return nil
}

// TCPProxyFor starts a proxy for one test.
func TCPProxyFor(tb testing.TB, target string) *TCPProxy {
	tb.Helper()
	p, err := StartTCPProxy(tb.Context(), target)
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, p.Close)
	return p
}
