package engine

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/moby/buildkit/client"

	"fnb/internal/plain"
)

// A Dialer reaches the BuildKit inside a Docker Engine through two HTTP upgrades of the Engine API: /grpc for the
// control API and /session for the session.
type Dialer struct {
	network, addr string
	refused       atomic.Pointer[RefusedError]
}

// A RefusedError says that what answers as a Docker Engine has no BuildKit: it is too old, or another product.
type RefusedError struct {
	Status string // of its answer, such as "404 Not Found"
	Path   string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the Docker Engine answers %s to %s: it has no BuildKit", plain.Line(e.Status), e.Path)
}

// NewDialer leads to an engine: docker:///var/run/docker.sock names the socket; docker://host:port is TCP. [Resolve] knows where docker:// alone leads.
func NewDialer(u *url.URL) *Dialer {
	network, addr := address(u)
	return &Dialer{network: network, addr: addr}
}

// Options are what a BuildKit's client needs to go this way.
func (d *Dialer) Options() []client.ClientOpt {
	return []client.ClientOpt{
		client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return d.hijack(ctx, "/grpc", nil)
		}),
		client.WithSessionDialer(func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return d.hijack(ctx, "/session", http.Header(meta))
		}),
	}
}

// Refused is why the engine has let nobody through, as a [*RefusedError]; nil if it has, or does not answer. A client loses it.
func (d *Dialer) Refused() error {
	if e := d.refused.Load(); e != nil {
		return e
	}
	return nil
}

// hijack asks a Docker Engine to turn an HTTP request into a plain connection.
func (d *Dialer) hijack(ctx context.Context, path string, header http.Header) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, d.network, d.addr)
	if err != nil {
		return nil, err
	}
	// An engine that accepts the connection and says nothing must not hold up
	// the caller.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	upgraded, err := upgrade(conn, path, header)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		d.refused.Store(refused)
	}
	if err != nil || !stop() {
		_ = conn.Close() // the other error says more
		return nil, cmp.Or(ctx.Err(), err)
	}
	return upgraded, nil
}

func upgrade(conn net.Conn, path string, header http.Header) (net.Conn, error) {
	req, err := http.NewRequest(http.MethodPost, "http://docker"+path, nil) //nolint:noctx // the connection ends with the context
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[http.CanonicalHeaderKey(k)] = v
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "h2c")
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	br := bufio.NewReader(conn)
	res, err := http.ReadResponse(br, req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		_ = res.Body.Close() // the connection is of no use
		return nil, &RefusedError{res.Status, path}
	}
	return &bufferedConn{Conn: conn, r: br}, nil
}

// A bufferedConn reads first what the HTTP reader already took off the wire.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }
