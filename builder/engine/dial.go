package engine

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/moby/buildkit/client"
)

// Options reach the BuildKit inside a Docker Engine through two HTTP
// upgrades of the Engine API: /grpc for the control API and /session for the
// session. docker:///var/run/docker.sock names the socket, which is the default;
// docker://host:port is TCP.
func Options(u *url.URL) []client.ClientOpt {
	network, addr := address(u)
	return []client.ClientOpt{
		client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return hijack(ctx, network, addr, "/grpc", nil)
		}),
		client.WithSessionDialer(func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return hijack(ctx, network, addr, "/session", http.Header(meta))
		}),
	}
}

// hijack asks a Docker Engine to turn an HTTP request into a plain connection.
func hijack(ctx context.Context, network, addr, path string, header http.Header) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	// An engine that accepts the connection and says nothing must not hold up
	// the caller.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	upgraded, err := upgrade(conn, path, header)
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
		return nil, fmt.Errorf("the Docker Engine answers %s to %s", res.Status, path)
	}
	return &bufferedConn{Conn: conn, r: br}, nil
}

// A bufferedConn reads first what the HTTP reader already took off the wire.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }
