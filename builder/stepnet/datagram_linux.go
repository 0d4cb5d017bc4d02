package stepnet

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	largestDatagram = 65535
	largestQuestion = 4096
	flowTimeout     = time.Minute     // without a datagram
	nameTimeout     = 2 * time.Second // without a question: programs ask each from another port
	answerTimeout   = 3 * time.Second // of one nameserver
)

// flow passes a step's datagrams of one address on, and what is answered. One that may
// not be sent is answered by the stack: there is nobody.
func (g *gate) flow(ctx context.Context, r *udp.ForwarderRequest) bool {
	to := local(r.ID())
	if !isNameserver(to) && g.reach.Check(ctx, to) != nil {
		return false
	}
	count, limit := &g.flows, maxFlows
	if isNameserver(to) {
		count, limit = &g.names, maxNames
	}
	end, ok := g.take(count, limit)
	if !ok {
		return true // it is lost, as datagrams may be
	}
	var wq waiter.Queue
	ep, problem := r.CreateEndpoint(&wq)
	if problem != nil {
		end()
		return true // as above
	}
	in := gonet.NewUDPConn(&wq, ep)
	go func() {
		defer end()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		context.AfterFunc(ctx, func() { _ = in.Close() })
		if isNameserver(to) {
			g.answerNames(ctx, in)
			return
		}
		out, err := new(net.Dialer).DialContext(ctx, "udp", to.String())
		if err != nil {
			return
		}
		context.AfterFunc(ctx, func() { _ = out.Close() })
		go func() {
			defer cancel()
			passDatagrams(in, out)
		}()
		passDatagrams(out, in)
	}()
	return true
}

// passDatagrams copies until nothing came for a while.
func passDatagrams(to, from net.Conn) {
	buf := make([]byte, largestDatagram)
	for {
		if err := from.SetReadDeadline(time.Now().Add(flowTimeout)); err != nil {
			return
		}
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func isNameserver(to netip.AddrPort) bool {
	return to.Port() == 53 && to.Addr().String() == Nameserver
}

// nameservers are those of the machine, as of now.
func nameservers() []string {
	raw, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		raw = nil // the resolver's default is its own machine
	}
	var out []string
	for sc := bufio.NewScanner(bytes.NewReader(raw)); sc.Scan(); {
		if f := strings.Fields(sc.Text()); len(f) > 1 && f[0] == "nameserver" {
			if addr, err := netip.ParseAddr(f[1]); err == nil {
				out = append(out, netip.AddrPortFrom(addr, 53).String())
			}
		}
	}
	if len(out) == 0 {
		out = []string{"127.0.0.1:53"}
	}
	return out
}

// dialNameserver connects to the first nameserver that takes a connection.
func (g *gate) dialNameserver(ctx context.Context) (net.Conn, error) {
	var err error
	for _, server := range g.servers() {
		var c net.Conn
		if c, err = (&net.Dialer{Timeout: answerTimeout}).DialContext(ctx, "tcp", server); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// answerNames answers a step's questions for names until none came for a while.
func (g *gate) answerNames(ctx context.Context, in net.Conn) {
	slots := make(chan struct{}, 16) // questions under way
	for {
		buf := make([]byte, largestQuestion)
		if err := in.SetReadDeadline(time.Now().Add(nameTimeout)); err != nil {
			return
		}
		n, err := in.Read(buf)
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() && len(slots) > 0 {
			continue // an answer is still to come
		}
		if err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		go func() {
			defer func() { <-slots }()
			if answer := g.ask(ctx, buf[:n]); answer != nil {
				_, _ = in.Write(answer) // the step may be gone
			}
		}()
	}
}

// ask puts a question to one nameserver after the other; nil where none answers.
func (g *gate) ask(ctx context.Context, question []byte) []byte {
	for _, server := range g.servers() {
		if answer := askOne(ctx, server, question); answer != nil {
			return answer
		}
	}
	return nil
}

func askOne(ctx context.Context, server string, question []byte) []byte {
	c, err := new(net.Dialer).DialContext(ctx, "udp", server)
	if err != nil {
		return nil
	}
	defer func() { _ = c.Close() }() // the answer is there, or none comes
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil
	}
	if _, err := c.Write(question); err != nil {
		return nil
	}
	buf := make([]byte, largestDatagram)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil
		}
		if n > 2 && len(question) > 2 && bytes.Equal(buf[:2], question[:2]) {
			return buf[:n]
		}
	}
}
