package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gw "github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"

	"fnb/builder"
	"fnb/internal/streams"
)

var errNoTunnel = errors.New("this container was started without a tunnel")

// mostOut is how many connections a container may have open to the outside at a time.
const mostOut = 1024

// Dial connects to the container's port. The first connection takes the builder 50 to
// 100 ms: one process in the container carries all.
func (r *Container) Dial(ctx context.Context) (net.Conn, error) { return r.dial(ctx, r.host()) }

// DialPort connects to a port of the container's loopback interface, as [Container.Dial] does.
// The connection has a CloseWrite.
func (r *Container) DialPort(ctx context.Context, port int) (net.Conn, error) {
	return r.dial(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// DialOther connects to the container's port at another address than 127.0.0.1: what listens at
// that one alone refuses.
func (r *Container) DialOther(ctx context.Context) (net.Conn, error) {
	return r.dial(ctx, net.JoinHostPort("127.0.0.2", strconv.Itoa(r.port)))
}

// dial is Dial to an address that the container knows.
func (r *Container) dial(ctx context.Context, address string) (net.Conn, error) {
	if !r.reach {
		return nil, errNoTunnel
	}
	r.tunnel.begin.Do(func() { go r.startTunnel() })
	select {
	case <-r.tunnel.begun:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-r.gone:
		return nil, r.goneError()
	}
	if err := r.tunnel.err; err != nil {
		return nil, err
	}
	s, err := r.tunnel.mux.Open(ctx, address)
	switch {
	case err == nil:
		return s, nil
	case errors.As(err, new(streams.Reason)):
		return nil, fmt.Errorf("connecting to %s in the container: %w", address, err)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	select {
	case <-r.gone:
		return nil, r.goneError()
	default:
		return nil, fmt.Errorf("the connection into the container broke: %w", err)
	}
}

func (r *Container) goneError() error {
	if err := r.ended(); err != nil {
		return err
	}
	return errors.New("the container is gone")
}

// A tunnel is the process in a container that carries connections into it, and out of it by its
// routes. It runs as root, so that it can listen at any port, and so that a function
// that does not cannot touch it.
type tunnel struct {
	begin sync.Once
	begun chan struct{} // closed when it carries, or err says why not
	told  sync.Once     // the same
	err   error
	mux   *streams.Mux
	stdin *io.PipeWriter
	ended chan struct{} // closed when the process has ended
	ends  atomic.Bool   // since nobody needs it any more

	mu    sync.Mutex
	broke error // a [*TunnelError]
}

// A TunnelError says that what carries a container's connections has broken while the container
// ran, which ends that.
type TunnelError struct{ Err error }

func (e *TunnelError) Error() string { return "what carries its connections broke: " + e.Err.Error() }

// Unwrap returns what went wrong.
func (e *TunnelError) Unwrap() error { return e.Err }

// brokePatience is how long the end of a container may take to be known, which ends its tunnel too.
const brokePatience = 2 * time.Second

// breaks ends a container that nobody can reach any more, unless it has ended itself.
func (r *Container) breaks(err error) {
	t := &r.tunnel
	if t.ends.Load() {
		return
	}
	t.mu.Lock()
	if t.broke == nil {
		t.broke = &TunnelError{err}
	}
	t.mu.Unlock()
	go func() {
		select {
		case <-r.gone:
		case <-time.After(brokePatience):
			r.leaving.Do(func() { close(r.leave) })
		}
	}()
}

// broken is why the container's tunnel has broken; nil if it has not. With ended it waits for the
// end of one that was ended with the container.
func (r *Container) broken(ended bool) error {
	if ended {
		select {
		case <-r.tunnel.begun:
			select {
			case <-r.tunnel.ended:
			case <-time.After(brokePatience):
			}
		default: // there is none
		}
	}
	r.tunnel.mu.Lock()
	defer r.tunnel.mu.Unlock()
	return r.tunnel.broke
}

// ownEnd reports whether a tunnel's process has ended by itself: the end of the container kills it,
// and one without an exit code was lost with the builder.
func ownEnd(err error) bool {
	var exit *gwpb.ExitError
	return err == nil || errors.As(err, &exit) && exit.ExitCode != uint32(killed) && exit.ExitCode <= 255
}

// disturbed reports whether a tunnel has said what is none of its words. One that nobody can write
// to was lost with the builder.
func (t *tunnel) disturbed() bool {
	err := t.mux.Err()
	return err != nil && !errors.Is(err, io.ErrClosedPipe)
}

// startTunnel starts it. Nothing is written to it before it says that it is there, nor after
// its input was closed: BuildKit drops all processes of a client that writes to one which has
// ended, the function too.
func (r *Container) startTunnel() {
	t := &r.tunnel
	tell := func(err error) { t.told.Do(func() { t.err = err; close(t.begun) }) }
	in, out := io.Pipe()
	t.stdin = out
	t.mux = streams.New(streams.Options{
		First: true, Out: out, Most: mostOut, Opened: r.lead, Full: r.full,
		Said: func(text string) {
			what, rest, _ := strings.Cut(text, " ")
			switch what {
			case "ready":
				tell(nil)
			case "failed":
				tell(fmt.Errorf("carrying connections of the container: %s", rest))
			case "asked":
				r.ways.unreached(Unreached{Name: rest})
			}
		},
	})
	if !r.apart {
		r.awaitOutput(r.life)
	}
	var errs stderr
	broke := false
	proc, err := r.ctr.Start(r.life, gw.StartRequest{
		Args: append([]string{r.Program(), "tunnel"}, r.ways.args()...), Env: []string{"PATH=/"}, Cwd: "/", User: "0",
		Stdin: in, Stdout: comes{t.mux}, Stderr: &errs,
	})
	if err == nil {
		go r.watchTunnel()
		err = proc.Wait()
		broke = ownEnd(err) || t.disturbed()
	}
	switch why := errs.String(); {
	case why != "":
		err = errors.New(why)
	case err != nil:
		err = fmt.Errorf("reaching into the container: %w", builder.WithoutGRPC(err))
	}
	t.mux.End(err)
	if broke {
		r.breaks(t.mux.Err())
	}
	_ = in.Close() // a pipe's never fails
	close(t.ended)
	tell(t.mux.Err())
}

// watchTunnel notices a tunnel that has broken while its process goes on.
func (r *Container) watchTunnel() {
	t := &r.tunnel
	select {
	case <-t.mux.Done():
	case <-r.gone:
		return
	}
	select {
	case <-t.ended:
	case <-r.gone:
	case <-time.After(brokePatience):
		if t.disturbed() {
			r.breaks(t.mux.Err())
		}
	}
}

// full says once that no more connections lead out of the container.
func (r *Container) full(where string) {
	if route, ok := r.ways.route(where); ok {
		r.ways.unreached(Unreached{route.Name, route.Port, fmt.Errorf("%d connections lead out of the container already", mostOut)})
	}
}

// comes is what the process writes.
type comes struct{ *streams.Mux }

// Close implements [io.Closer]. The end of the process says more.
func (comes) Close() error { return nil }

// lead opens where a connection out of the container leads.
func (r *Container) lead(s *streams.Stream, where string) {
	route, ok := r.ways.route(where)
	if !ok {
		s.Refuse(streams.Failed)
		return
	}
	ctx, cancel := context.WithTimeout(r.life, openPatience)
	defer cancel()
	conn, err := route.Open(ctx)
	if err != nil {
		r.ways.unreached(Unreached{route.Name, route.Port, err})
		s.Refuse(streams.ReasonOf(err))
		return
	}
	s.Accept()
	streams.Join(s, conn)
}

// openPatience is how long a route may take to open.
const openPatience = 30 * time.Second

// hangUp ends the tunnel once it carries nothing, if nothing leads out of the container: a
// process that is killed with the container can take its exit code with it.
func (r *Container) hangUp() {
	if !r.reach || len(r.ways.routes) > 0 || r.apart {
		return
	}
	r.hanging.Do(func() {
		r.tunnel.begin.Do(func() { // there is none
			r.tunnel.told.Do(func() { r.tunnel.err = errors.New("the container is about to end"); close(r.tunnel.begun) })
			close(r.tunnel.ended)
		})
		go r.hangUpIdle()
	})
}

func (r *Container) hangUpIdle() {
	select {
	case <-r.tunnel.begun:
	case <-r.gone:
		return
	}
	if r.tunnel.err != nil {
		return
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		r.peer.transport.CloseIdleConnections()
		if r.tunnel.mux.Streams() == 0 {
			r.tunnel.ends.Store(true)
			_ = r.tunnel.stdin.Close() // a pipe's never fails
			return
		}
		select {
		case <-r.gone:
			return
		case <-tick.C:
		}
	}
}

// hungUp waits a moment for the tunnel to have ended.
func (r *Container) hungUp() {
	if !r.reach || len(r.ways.routes) > 0 || r.apart {
		return
	}
	select {
	case <-r.tunnel.ended:
	case <-r.gone:
	case <-time.After(200 * time.Millisecond):
	}
}

// stderr keeps the beginning of what the tunnel's process complains about.
type stderr struct {
	mu   sync.Mutex
	text []byte
}

// Write implements [io.Writer].
func (s *stderr) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, p[:min(len(p), 1024-len(s.text))]...)
	return len(p), nil
}

// Close implements [io.Closer].
func (s *stderr) Close() error { return nil }

func (s *stderr) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimPrefix(strings.TrimSpace(string(s.text)), "fwatchdog: ")
}
