// Package tunnel carries connections into a container and out of it over the input and output of one process, with Run:
// fnb reaches a function so that runs in a builder, and the function reaches what fnb was told to let it reach.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"fnb/internal/streams"
)

// mostIn is how many connections may lead into the container at a time.
const mostIn = 4096

// What Run says to the other end before a text of its own.
const (
	ready  = "ready"
	failed = "failed "
	asked  = "asked "
)

// A way leads out: whoever connects to its address speaks to what fnb connects to.
type way struct {
	name    string
	address string // HOST:PORT, of the container's loopback interface
}

// Run carries connections until in ends, which is the only end that fnb does not mind: BuildKit ends a container in which any
// process fails, and drops all processes of a client that writes to one which has ended. So what goes wrong is only said,
// the exit code is 0, and in is read until its end. fnb is told that nothing is carried any more.
//
// Arguments are ways out, NAME=ADDRESS, and --names ADDRESS for a server there that knows their names, and tells which
// others were asked for.
func Run(ctx context.Context, args []string, in io.Reader, out io.Writer) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	mux := streams.New(streams.Options{Out: out, Most: mostIn, Opened: func(s *streams.Stream, where string) {
		reach(ctx, s, where)
	}})
	defer mux.End(nil)
	t := &tunnel{mux: mux}
	defer t.close()
	err := t.open(ctx, args)
	if err == nil {
		err = mux.Say(ready)
	} else {
		err = mux.Say(failed + err.Error())
	}
	if err == nil {
		_, err = io.Copy(mux, in)
	}
	if err != nil {
		_, _ = out.Write(streams.NoFrame()) // if fnb does not read it, it has gone
		_, _ = io.Copy(io.Discard, in)      // whatever it is
	}
	return 0
}

// reach connects a stream of fnb's to an address in the container.
func reach(ctx context.Context, s *streams.Stream, where string) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", where)
	if err != nil {
		s.Refuse(streams.ReasonOf(err))
		return
	}
	s.Accept()
	streams.Join(s, conn)
}

// A tunnel has what listens in the container.
type tunnel struct {
	mux    *streams.Mux
	closes []func() error
}

func (t *tunnel) close() {
	for _, c := range t.closes {
		_ = c() // nothing is lost
	}
}

// open listens at all addresses that args name. The server of names is the last: who reaches
// it finds the others there.
func (t *tunnel) open(ctx context.Context, args []string) error {
	names := ""
	if len(args) > 1 && args[0] == "--names" {
		names, args = args[1], args[2:]
	}
	var ways []way
	for i, arg := range args {
		name, address, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q is not NAME=ADDRESS", arg)
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return err
		}
		t.closes = append(t.closes, l.Close)
		ways = append(ways, way{name, address})
		go t.lead(l, strconv.Itoa(i))
	}
	if names == "" {
		return nil
	}
	udp, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", names)
	if err != nil {
		return err
	}
	t.closes = append(t.closes, udp.Close)
	tcp, err := (&net.ListenConfig{}).Listen(ctx, "tcp", names)
	if err != nil {
		return err
	}
	t.closes = append(t.closes, tcp.Close)
	s := newServer(ways, func(name string) { _ = t.mux.Say(asked + name) }) // if it has ended, nobody listens
	go s.packets(udp)
	go s.connections(tcp)
	return nil
}

// lead takes connections that lead out, by the way of that number.
func (t *tunnel) lead(l net.Listener, number string) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // this one is gone
		}
		s, err := t.mux.OpenNow(number)
		if err != nil {
			streams.Abort(conn)
			continue
		}
		go streams.Join(s, conn)
	}
}

// addressOf is where a name leads; nil if no way has it.
func addressOf(ways []way, name string) net.IP {
	i := slices.IndexFunc(ways, func(w way) bool { return strings.EqualFold(w.name, name) })
	if i < 0 {
		return nil
	}
	host, _, err := net.SplitHostPort(ways[i].address)
	if err != nil {
		return nil
	}
	return net.ParseIP(host).To4()
}
