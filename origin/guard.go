package origin

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// A Secret is a user and a password for one origin.
type Secret struct {
	For            Origin
	User, Password string
}

// A Guard is the transport below everything that speaks HTTP: a secret goes to its own
// origin only, and nobody is led to an address that is nearer than may be. It is safe
// for concurrent use.
type Guard struct {
	// Secret is sent to its origin; no other request has any then, whatever its
	// header says. With nil, what a request has goes along until a redirect leads
	// elsewhere.
	Secret *Secret
	// Least is the reach that addresses must have. The zero value allows all.
	Least Reach
	// Exempt, when not nil, says of hosts, with their ports, that they may be anywhere.
	Exempt func(host string) bool
	// Choose, when not nil, returns the transport for a request, which [Guard.Prepare] was
	// called with: for those that are spoken to in a way of their own.
	Choose func(r *http.Request) (*http.Transport, error)

	dialer net.Dialer
	inner  *http.Transport

	mu            sync.Mutex
	met           bool
	nearest, most Reach
}

// NewGuard returns a guard over inner, which it gives a way to connect that looks at
// the addresses that names have at that moment. A connection by way of a proxy is the
// proxy's to allow.
func NewGuard(inner *http.Transport, dialer net.Dialer) *Guard {
	g := &Guard{dialer: dialer, inner: inner}
	g.Prepare(inner)
	return g
}

// Prepare gives a transport the guard's way to connect.
func (g *Guard) Prepare(t *http.Transport) { t.DialContext = g.dial }

// A ReachError says that nothing was asked of a host, because it is nearer than
// whoever named it may lead to.
type ReachError struct {
	Host  string
	Reach Reach
}

func (e *ReachError) Error() string {
	return e.Host + " is " + e.Reach.String() + ", but whoever names it is not"
}

// PrivateHosts is the environment variable of the hosts, separated by commas, that may
// be led to although they are nearer than whoever names them.
const PrivateHosts = "FNB_PRIVATE_HOSTS"

// Listed reports whether a host, with or without a port, is in a list with commas.
func Listed(list, host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return slices.ContainsFunc(strings.Split(list, ","), func(named string) bool {
		return named != "" && strings.EqualFold(strings.TrimSpace(named), strings.Trim(host, "[]"))
	})
}

type limitKey struct{}

// A limit is how near one request may come.
type limit struct {
	host   string
	least  Reach
	direct bool // not by way of a proxy
}

// RoundTrip implements [http.RoundTripper].
func (g *Guard) RoundTrip(r *http.Request) (*http.Response, error) {
	least := g.Least
	if _, most, ok := g.Met(); ok && Led(r) {
		least = max(least, most) // nobody leads to what is nearer than itself
	}
	return g.Within(r, least)
}

// Within is RoundTrip for an address that has to have a reach of its own.
func (g *Guard) Within(r *http.Request, least Reach) (*http.Response, error) {
	if g.Exempt != nil && g.Exempt(r.URL.Host) {
		least = Machine
	}
	if reach, ok := ReachOfHost(r.URL.Host); ok && reach < least {
		if r.Body != nil {
			_ = r.Body.Close() // nothing of it was sent
		}
		return nil, &ReachError{Host: r.URL.Hostname(), Reach: reach}
	}
	inner := g.inner
	if g.Choose != nil {
		var err error
		if inner, err = g.Choose(r); err != nil {
			if r.Body != nil {
				_ = r.Body.Close() // as above
			}
			return nil, err
		}
	}
	to := limit{host: r.URL.Hostname(), least: least, direct: true}
	if inner.Proxy != nil {
		if proxy, err := inner.Proxy(r); err != nil || proxy != nil {
			to.direct = false
		}
	}
	r = r.Clone(context.WithValue(r.Context(), limitKey{}, to))
	switch {
	case g.Secret == nil:
		strip(r)
	case Led(r) || Of(r.URL) != g.Secret.For:
		r.Header.Del("Authorization")
		r.Header.Del("Cookie")
	default:
		r.SetBasicAuth(g.Secret.User, g.Secret.Password)
	}
	return inner.RoundTrip(r)
}

// dial connects to an address that is not nearer than the request may come.
func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	to, _ := ctx.Value(limitKey{}).(limit)
	d := g.dialer
	if to.direct {
		d.ControlContext = func(_ context.Context, _, at string, _ syscall.RawConn) error {
			addr, err := netip.ParseAddrPort(at)
			if err != nil {
				return err
			}
			if reach := ReachOf(addr.Addr()); reach < to.least {
				return &ReachError{Host: to.host, Reach: reach}
			}
			return nil
		}
	}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	reach := Public
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok && to.direct {
		reach = ReachOf(tcp.AddrPort().Addr())
	}
	g.meet(reach)
	return conn, nil
}

func (g *Guard) meet(reach Reach) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.met {
		g.nearest, g.most = reach, reach
	}
	g.met, g.nearest, g.most = true, min(g.nearest, reach), max(g.most, reach)
}

// Met returns the nearest and the farthest reach of all that was connected to; not ok
// for nobody. Whoever is behind a proxy counts as public.
func (g *Guard) Met() (nearest, farthest Reach, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.nearest, g.most, g.met
}
