package stepnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// What one step may have under way at once, so that none takes all that the builder's
// process may open, or its memory.
const (
	maxConnections = 1024
	maxFlows       = 256
	maxNames       = 1024
	maxDialing     = 512
	tcpBuffer      = 1 << 20 // bytes a direction of a connection; the way is short
)

const nic = tcpip.NICID(1)

// A netstack is the other end of a step's device, which it owns.
type netstack struct {
	*stack.Stack
	link *link
}

func newStack(ctx context.Context, w *wire, g *gate) (*netstack, error) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	n := &netstack{s, newLink(w)}
	sack, moderate := tcpip.TCPSACKEnabled(true), tcpip.TCPModerateReceiveBufferOption(true)
	send := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: tcpBuffer / 4, Max: tcpBuffer}
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: tcpBuffer / 4, Max: tcpBuffer}
	for _, problem := range []tcpip.Error{
		s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack),
		s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate),
		s.SetTransportProtocolOption(tcp.ProtocolNumber, &send),
		s.SetTransportProtocolOption(tcp.ProtocolNumber, &receive),
		s.CreateNIC(nic, n.link),
		s.SetPromiscuousMode(nic, true), // it takes packets to any address,
		s.SetSpoofing(nic, true),        // and answers from there
	} {
		if problem != nil {
			s.Destroy()
			return nil, errors.Join(fmt.Errorf("reading a step's packets: %s", problem), w.file.Close())
		}
	}
	s.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nic},
		{Destination: header.IPv6EmptySubnet, NIC: nic},
	})
	s.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(s, 0, maxDialing, func(r *tcp.ForwarderRequest) { g.connect(ctx, r) }).HandlePacket)
	s.SetTransportProtocolHandler(udp.ProtocolNumber, udp.NewForwarder(s, func(r *udp.ForwarderRequest) bool { return g.flow(ctx, r) }).HandlePacket)
	n.link.carry()
	return n, nil
}

// close ends all that is under way, and closes the device.
func (n *netstack) close() error {
	err := n.link.close()
	n.Destroy()
	return err
}

// A gate opens on the machine what a step opens.
type gate struct {
	reach   Reach
	servers func() []string // of names, as of now

	mu          sync.Mutex
	connections int
	flows       int
	names       int
}

// take counts one more in n, unless that is too many. What it returns ends it.
func (g *gate) take(n *int, limit int) (func(), bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if *n >= limit {
		return nil, false
	}
	*n++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		*n--
	}, true
}

// connect answers a step's SYN once it is known whether there is somebody: what is
// refused there is refused here.
func (g *gate) connect(ctx context.Context, r *tcp.ForwarderRequest) {
	end, ok := g.take(&g.connections, maxConnections)
	if !ok {
		r.Complete(true)
		return
	}
	defer end()
	to := local(r.ID())
	var out net.Conn
	var err error
	if isNameserver(to) {
		out, err = g.dialNameserver(ctx)
	} else {
		out, err = g.reach.Dialer().DialContext(ctx, "tcp", to.String())
	}
	if err != nil {
		var ne net.Error
		r.Complete(!errors.As(err, &ne) || !ne.Timeout()) // nobody answers one who waits in vain
		return
	}
	defer func() { _ = out.Close() }() // both ends are done with it
	var wq waiter.Queue
	shaken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { wake(&wq, shaken) })
	ep, problem := r.CreateEndpoint(&wq)
	close(shaken)
	stop()
	r.Complete(problem != nil)
	if problem != nil {
		return
	}
	in := gonet.NewTCPConn(&wq, ep)
	defer func() { _ = in.Close() }() // as above
	relay(ctx, in, out)
}

// wake has whoever waits for a handshake look again, until it is over: a stack that ends
// tells the connections that it has, and not one that is only being made.
func wake(wq *waiter.Queue, over <-chan struct{}) {
	for again := time.NewTicker(10 * time.Millisecond); ; {
		wq.Notify(waiter.WritableEvents)
		select {
		case <-over:
			again.Stop()
			return
		case <-again.C:
		}
	}
}

// accept relays what a step connects to at an exception's address.
func (g *gate) accept(ctx context.Context, l net.Listener, to string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return // it was closed
		}
		go func() {
			defer func() { _ = in.Close() }() // both ends are done with it
			end, ok := g.take(&g.connections, maxConnections)
			if !ok {
				return
			}
			defer end()
			out, err := new(net.Dialer).DialContext(ctx, "tcp", to)
			if err != nil {
				return
			}
			defer func() { _ = out.Close() }() // as above
			relay(ctx, in, out)
		}()
	}
}

// relay copies both ways until both sides have said all, or ctx ends.
func relay(ctx context.Context, a, b net.Conn) {
	stop := context.AfterFunc(ctx, func() {
		_, _ = a.Close(), b.Close() // to wake the copies
	})
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(a, b)
	}()
	pass(b, a)
	<-done
}

// pass copies all that is said, and says when it was all. Where the one who listens
// is gone, the one who speaks is told.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if w, ok := to.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite() // it may be gone
	}
	if r, ok := from.(interface{ CloseRead() error }); ok && err != nil {
		_ = r.CloseRead() // as above
	}
}

// local is the address that a step wants.
func local(id stack.TransportEndpointID) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(id.LocalAddress.AsSlice())
	return netip.AddrPortFrom(addr, id.LocalPort)
}
