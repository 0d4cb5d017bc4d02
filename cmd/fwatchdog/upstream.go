package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"fnb/cmd/fwatchdog/internal/rawio"
	"fnb/cmd/fwatchdog/internal/wire"
)

const (
	idleMost = 100                    // idle connections kept
	idleTime = 500 * time.Millisecond // and for how long; shorter than any server keeps them
	restTime = 10 * time.Millisecond  // idle before use, after an answer without a body that a broken function may send all the same
)

// upstream is the address of the function's own server and the idle connections to it.
type upstream struct {
	network, address string
	route            wire.Route
	tls              *tls.Config   // nil: plain HTTP
	via              *connectProxy // nil: no proxy has to be asked for a connection
	logs             *logs         // nil: nowhere

	mu      sync.Mutex
	idle    []*upstreamConn // the most recently used is last
	surplus bool            // it has sent what belongs to no answer, so that no connection is kept
	sweeper *time.Timer
}

// connectProxy is a proxy that has to be asked for a connection to host.
type connectProxy struct {
	host string
	auth string
}

// newUpstream prepares connections to target, through the proxy of the environment if that names one.
func newUpstream(target *url.URL) (*upstream, error) {
	if target.Scheme == "unix" {
		return &upstream{network: "unix", address: target.Path + target.Opaque}, nil
	}
	u := &upstream{network: "tcp", address: hostPort(target)}
	u.route.Prefix = strings.TrimSuffix(target.EscapedPath(), "/")
	if target.Scheme == "https" {
		u.tls = &tls.Config{ServerName: target.Hostname(), NextProtos: []string{"http/1.1"}}
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: target})
	if err != nil || proxy == nil {
		return u, err
	}
	auth := ""
	if proxy.User != nil {
		password, _ := proxy.User.Password()
		auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(proxy.User.Username()+":"+password))
	}
	if proxy.Scheme != "http" {
		return nil, fmt.Errorf("proxy %s: only http proxies can be used", proxy.Redacted())
	}
	if u.tls != nil {
		u.via = &connectProxy{host: u.address, auth: auth}
	} else {
		u.route.Prefix = "http://" + target.Host + u.route.Prefix
		u.route.ProxyAuth = auth
	}
	u.address = hostPort(proxy)
	return u, nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// upstreamConn is one connection to the function's server.
type upstreamConn struct {
	net.Conn
	socket *rawio.Conn
	tls    bool // between the socket and direct
	direct io.ReadWriter
	in     *bufio.Reader
	since  time.Time // idle since
	rests  bool      // it has to be idle for restTime
	used   bool

	mu       sync.Mutex
	dead     bool
	deadline time.Time
}

func (c *upstreamConn) Read(p []byte) (int, error) { return c.direct.Read(p) }

func (c *upstreamConn) Write(p []byte) (int, error) { return c.direct.Write(p) }

// abort makes every read and write of the connection fail, now and later.
func (c *upstreamConn) abort() {
	c.mu.Lock()
	c.dead = true
	_ = c.SetDeadline(time.Unix(1, 0)) // a closed connection fails anyway
	c.mu.Unlock()
}

// limit sets the deadline of the connection, unless it was aborted. A deadline that is far away may be
// deadlineSlack late, so that it need not be set for each request.
func (c *upstreamConn) limit(deadline time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || deadline.Equal(c.deadline) {
		return
	}
	if !deadline.IsZero() && time.Until(deadline) > 50*deadlineSlack {
		if ahead := c.deadline.Sub(deadline); ahead >= 0 && ahead <= deadlineSlack {
			return
		}
		deadline = deadline.Add(deadlineSlack)
	}
	c.deadline = deadline
	_ = c.SetDeadline(deadline) // a closed connection fails anyway
}

// state looks at an idle connection: whether it can carry a request, and if not, whether that is because the function
// sent something that nobody asked for. Whatever came would be taken for the answer to the next request.
func (c *upstreamConn) state() (usable, surplus bool) {
	switch {
	case c.in.Buffered() > 0:
		return false, true
	case c.socket.Readable():
		if !c.tls { // in TLS what came may be a record that carries nothing
			_ = c.SetReadDeadline(time.Now().Add(time.Second)) // what has come is there
			_, err := c.in.Peek(1)
			surplus = err == nil
		}
		return false, surplus
	case c.tls:
		// TLS reads whole records, and keeps what was not asked for yet.
		c.limit(time.Unix(1, 0))
		_, err := c.in.Peek(1)
		return errors.Is(err, os.ErrDeadlineExceeded), err == nil
	}
	return true, false
}

// get returns an idle connection, which has been looked at, or a new one when there is none.
func (u *upstream) get(deadline time.Time) (*upstreamConn, error) {
	for {
		c := u.take()
		if c == nil {
			return u.dial(deadline)
		}
		usable, surplus := c.state()
		if usable {
			c.used = true
			return c, nil
		}
		_ = c.Close() // it is of no use either way
		if surplus {
			u.distrust()
		}
	}
}

// take takes the connection that was used last, of those that need not rest.
func (u *upstream) take() *upstreamConn {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := len(u.idle) - 1; i >= 0; i-- {
		if c := u.idle[i]; !c.rests || time.Since(c.since) >= restTime {
			u.idle = slices.Delete(u.idle, i, i+1)
			return c
		}
	}
	return nil
}

// distrust keeps no connection from here on: the function sends what belongs to no answer, and the moment in which it
// comes is not known.
func (u *upstream) distrust() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.surplus && u.logs != nil {
		u.logs.printf("the function sends more than its answers: from now on no connection to it is used for a second request")
	}
	u.surplus = true
	for _, c := range u.idle {
		_ = c.Close() // it is of no use any more
	}
	u.idle = nil
}

// put keeps c for a later request. It rests first where a body would have belonged to the answer that it has brought,
// and none came: functions that send one all the same do so a moment later.
func (u *upstream) put(c *upstreamConn, rests bool) {
	if c.in.Buffered() > 0 {
		_ = c.Close() // what came belongs to nothing
		u.distrust()
		return
	}
	c.since, c.rests = time.Now(), rests
	u.mu.Lock()
	defer u.mu.Unlock()
	if c.dead || u.surplus || len(u.idle) >= idleMost {
		_ = c.Close() // it is of no use any more
		return
	}
	u.idle = append(u.idle, c)
	if u.sweeper == nil {
		u.sweeper = time.AfterFunc(idleTime, u.sweep)
	}
}

// sweep closes the connections that were idle for too long.
func (u *upstream) sweep() {
	u.mu.Lock()
	defer u.mu.Unlock()
	old := 0
	for old < len(u.idle) && time.Since(u.idle[old].since) >= idleTime-time.Millisecond {
		_ = u.idle[old].Close() // it is of no use any more
		old++
	}
	u.idle = append(u.idle[:0], u.idle[old:]...)
	u.sweeper = nil
	if len(u.idle) > 0 {
		u.sweeper = time.AfterFunc(idleTime-time.Since(u.idle[0].since), u.sweep)
	}
}

// dial makes a new connection.
func (u *upstream) dial(deadline time.Time) (*upstreamConn, error) {
	d := net.Dialer{Deadline: deadline}
	if deadline.IsZero() {
		d.Timeout = 30 * time.Second
	}
	conn, err := d.Dial(u.network, u.address)
	if err != nil {
		return nil, err
	}
	socket, err := rawio.NewConn(conn)
	if err != nil {
		return nil, err
	}
	c := &upstreamConn{Conn: conn, socket: socket, direct: socket, tls: u.tls != nil}
	if c.tls {
		if c.Conn, err = u.secure(conn, deadline); err != nil {
			return nil, err
		}
		c.direct = c.Conn
	}
	c.in = bufio.NewReaderSize(c.direct, 8<<10)
	return c, nil
}

// secure asks a proxy for a tunnel, if there is one between, and starts TLS.
func (u *upstream) secure(conn net.Conn, deadline time.Time) (net.Conn, error) {
	_ = conn.SetDeadline(deadline) // a closed connection fails anyway
	if u.via != nil {
		if err := u.via.open(conn); err != nil {
			_ = conn.Close() // the first error is the one to tell
			return nil, err
		}
	}
	secured := tls.Client(conn, u.tls)
	if err := secured.HandshakeContext(context.Background()); err != nil { //nolint:contextcheck // the deadline bounds it
		_ = conn.Close() // the first error is the one to tell
		return nil, err
	}
	return secured, nil
}

func (p *connectProxy) open(conn net.Conn) error {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: p.host}, Host: p.host, Header: http.Header{}}
	if p.auth != "" {
		request.Header.Set("Proxy-Authorization", p.auth)
	}
	if err := request.Write(conn); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // what follows is the tunnel
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("proxy answered CONNECT %s with %s", p.host, answer.Status)
	}
	return nil
}
