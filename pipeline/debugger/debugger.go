// Package debugger leads a port of this machine to the debugger of a function that runs in
// the builder: [Open] takes the port, and [Port.Lead] says which container it leads to.
package debugger

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// A Container is one that runs in the builder.
type Container interface {
	DialPort(ctx context.Context, port int) (net.Conn, error) // a port of its loopback interface
	Gone() <-chan struct{}                                    // closed when it has ended
}

// A Target is a debugger in a container.
type Target struct {
	Container Container
	Port      int    // of the container's loopback interface
	Adapter   string // what an editor calls it, as template.yml says
	Ended     func() // called once if it listens no more while its container runs on; nil tells nobody
}

const (
	maxConns = 32               // of one port, at a time; what comes then waits
	patience = 30 * time.Second // how long a debugger may take to listen once its container runs
	pause    = 50 * time.Millisecond
	between  = 3 * time.Second // how long a debugger may take from one client to the next: Java's listens anew for each
)

// A Port leads from this machine to the debugger of one function after another, since a
// function that is built anew gets another container.
type Port struct {
	listener net.Listener
	life     context.Context //nolint:containedctx // of the port
	end      context.CancelFunc
	running  sync.WaitGroup

	mu   sync.Mutex
	now  *visit
	news chan struct{} // closed when now changes
}

// Open begins to take connections. They wait for the first [Port.Lead]. The listener is the
// port's; Close must be called.
func Open(l net.Listener) *Port {
	p := &Port{listener: l, news: make(chan struct{})}
	p.life, p.end = context.WithCancel(context.Background())
	p.running.Go(p.accept)
	return p
}

// Address is where the port listens.
func (p *Port) Address() *net.TCPAddr {
	a, _ := p.listener.Addr().(*net.TCPAddr) // it is one of TCP
	return a
}

// Lead has the port lead to a container from now on. Connections to the one before end, and
// what its debugger has stopped goes on.
func (p *Port) Lead(t Target) {
	v := &visit{Target: t, port: p.life}
	v.life, v.end = context.WithCancel(p.life)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil {
		p.now.end()
	}
	p.now = v
	close(p.news)
	p.news = make(chan struct{})
}

// Listens says that the debugger to which the port leads has begun to listen, since its function
// runs: one that refuses a connection from now on has ended, and is not waited for.
func (p *Port) Listens() {
	if v := p.current(); v != nil {
		v.heard.Store(true)
	}
}

// Close ends the port and its connections, and waits for them.
func (p *Port) Close() {
	p.end()
	_ = p.listener.Close() // nothing is asked of it any more
	p.running.Wait()
}

// accept takes connections, each of which ends with the port at the latest.
func (p *Port) accept() {
	slots := make(chan struct{}, maxConns)
	for {
		select {
		case slots <- struct{}{}:
		case <-p.life.Done():
			return
		}
		conn, err := p.listener.Accept()
		if err != nil {
			<-slots
			select {
			case <-p.life.Done():
				return
			case <-time.After(pause): // too many files are open, as it may be
				continue
			}
		}
		p.running.Go(func() {
			defer func() { <-slots }()
			defer conn.Close() //nolint:errcheck // nothing is asked of it any more
			p.serve(conn)
		})
	}
}

// serve joins a connection with the debugger of the container that runs now.
func (p *Port) serve(conn net.Conn) {
	for v := p.first(); v != nil; v = p.current() {
		inside := v.reach()
		if inside == nil {
			if v.life.Err() != nil && p.life.Err() == nil { // another has taken its place
				continue
			}
			return
		}
		stop := context.AfterFunc(v.life, func() { _ = conn.Close() })
		join(conn, inside)
		stop()
		v.leave()
		return
	}
}

// first waits until the port leads anywhere, however long the function is being built; nil is
// the end of the port.
func (p *Port) first() *visit {
	for {
		p.mu.Lock()
		now, news := p.now, p.news
		p.mu.Unlock()
		if now != nil {
			return now
		}
		select {
		case <-news:
		case <-p.life.Done():
			return nil
		}
	}
}

// current is where the port leads.
func (p *Port) current() *visit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// join moves bytes both ways until one side has no more, and closes both.
func join(a, b net.Conn) {
	done := make(chan struct{}, 2)
	move := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // a debugger that goes is no error
		done <- struct{}{}
	}
	go move(a, b)
	go move(b, a)
	<-done
	_, _ = a.Close(), b.Close() // the same
	<-done
}
