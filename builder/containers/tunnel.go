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

	gw "github.com/moby/buildkit/frontend/gateway/client"

	"fnb/builder"
)

var errNoTunnel = errors.New("this container was started without a tunnel")

// tunnelBuffer is how much of what a connection brings may wait for its reader.
// All that comes out of a container comes over one stream: beyond this a reader
// that does not read holds up the others.
const tunnelBuffer = 16 << 20

// Dial connects to the container's port, through a process in the container
// that joins its standard input and output to it. That takes the builder 50 to
// 100 ms, so connections are worth keeping, as [Container.Transport] does. Nothing
// is written before the process says that it is connected: BuildKit drops all
// processes of a client that writes to one which has ended, the function too.
func (r *Container) Dial(ctx context.Context) (net.Conn, error) { return r.dial(ctx, r.host()) }

// DialPort connects to a port of the container's loopback interface, as [Container.Dial] does.
func (r *Container) DialPort(ctx context.Context, port int) (net.Conn, error) {
	return r.dial(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// dial is Dial to an address that the container knows.
func (r *Container) dial(ctx context.Context, address string) (net.Conn, error) {
	if !r.reach {
		return nil, errNoTunnel
	}
	outside, inside := net.Pipe()
	c := &tunnel{Conn: outside, buffer: newQueue(tunnelBuffer)}
	begun := make(chan error, 1)
	r.tunnels.Add(1)
	go func() {
		defer r.tunnels.Add(-1)
		// Not ctx: it may end when the connection was made.
		proc, err := r.ctr.Start(r.life, gw.StartRequest{
			Args: []string{tunnelDir + builder.WatchdogPath, "tunnel", address}, Cwd: "/",
			Stdin: inside, Stdout: c.buffer, Stderr: &c.stderr,
		})
		begun <- err
		if err == nil {
			err = proc.Wait()
			c.buffer.end(c.cause(err))
		}
	}()
	select {
	case <-ctx.Done():
		_ = c.Close() // which ends the process when it begins
		_ = inside.Close()
		return nil, ctx.Err()
	case <-r.gone:
		return nil, r.goneError()
	case err := <-begun:
		if err != nil {
			_ = inside.Close()
			return nil, fmt.Errorf("reaching into the container: %w", builder.WithoutGRPC(err))
		}
	}
	connected := make(chan error, 1)
	go c.deliver(inside, connected)
	select {
	case <-ctx.Done():
		_ = c.Close()
		return nil, ctx.Err()
	case <-r.gone:
		_ = c.Close()
		return nil, r.goneError()
	case err := <-connected:
		if err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}

func (r *Container) goneError() error {
	if err := r.ended(); err != nil {
		return err
	}
	return errors.New("the container is gone")
}

// A tunnel is a connection into a container.
type tunnel struct {
	net.Conn // the end of a pipe
	buffer   *queue
	stderr   stderr

	mu  sync.Mutex
	err error // why no more comes; nil is the end
}

// cause is why a connection ended, in the words of the process.
func (c *tunnel) cause(err error) error {
	if why := c.stderr.String(); why != "" {
		return errors.New(why)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("the connection into the container broke: %w", builder.WithoutGRPC(err))
}

// deliver moves what comes from the container to the reader, but for the first
// byte, which says that the connection is there.
func (c *tunnel) deliver(inside net.Conn, connected chan<- error) {
	defer func() { _ = inside.Close() }() // a pipe's never fails
	p, err := c.buffer.next()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	connected <- err
	if err != nil {
		return
	}
	c.buffer.endsWithOutput()
	for p = p[1:]; ; {
		if len(p) > 0 {
			if _, err := inside.Write(p); err != nil { // closed by the reader
				c.buffer.drop()
				return
			}
		}
		if p, err = c.buffer.next(); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if !errors.Is(err, io.EOF) {
				c.err = err
			}
			return
		}
	}
}

// Read implements [net.Conn].
func (c *tunnel) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err != nil {
			return n, c.err
		}
	}
	return n, err
}

// Close implements [net.Conn].
func (c *tunnel) Close() error {
	c.buffer.drop()
	return c.Conn.Close()
}

// stderr keeps the beginning of what a connection's process complains about.
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
	return strings.TrimPrefix(strings.TrimSpace(string(s.text)), "fwatchdog: tunnel: ")
}

// A queue holds bytes between a writer that must seldom wait and a reader.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond
	data    [][]byte
	size    int
	limit   int
	ended   bool
	err     error
	dropped bool // nobody reads any more
	closed  bool // the writer has closed it
	whole   bool // what has been written by then is all
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// Write implements [io.Writer]; it takes p over a copy.
func (q *queue) Write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.size >= q.limit && !q.dropped {
		q.changed.Wait()
	}
	if !q.dropped {
		q.data = append(q.data, append([]byte(nil), p...))
		q.size += len(p)
		q.changed.Broadcast()
	}
	return len(p), nil
}

// Close implements [io.Closer]. It ends the queue only after endsWithOutput:
// before that the process has more to say of why it ended.
func (q *queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.ended = q.ended || q.whole
	q.changed.Broadcast()
	return nil
}

// endsWithOutput lets Close end the queue.
func (q *queue) endsWithOutput() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.whole = true
	q.ended = q.ended || q.closed
	q.changed.Broadcast()
}

// end says that nothing more is written, and why; nil is [io.EOF].
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ended {
		q.ended, q.err = true, err
	}
	q.changed.Broadcast()
}

// drop says that nobody reads any more.
func (q *queue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped, q.data, q.size = true, nil, 0
	q.changed.Broadcast()
}

// next waits for bytes.
func (q *queue) next() ([]byte, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.data) == 0 && !q.ended && !q.dropped {
		q.changed.Wait()
	}
	switch {
	case len(q.data) > 0:
		p := q.data[0]
		q.data = q.data[1:]
		q.size -= len(p)
		q.changed.Broadcast()
		return p, nil
	case q.err != nil:
		return nil, q.err
	default:
		return nil, io.EOF
	}
}
