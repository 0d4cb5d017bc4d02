package containers

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/solver/pb"

	"fnb/internal/env"
	"fnb/schema/words"
)

// A Route is a name and a port that lead out of a container: what connects to them in it
// speaks to what Open returns.
type Route struct {
	Name string // of a host, as /etc/hosts of the container has it
	Port int
	// Open connects to where the route leads. An ending that is half one arrives as such if
	// the connection has a CloseWrite() error.
	Open func(ctx context.Context) (net.Conn, error)
}

// Unreached is what a container looks for in vain.
type Unreached struct {
	Name string // of a host, as the container says it: text of somebody else
	Port int    // of the route that could not be opened; 0 if no route has the name
	Err  error  // why
}

const (
	// mostRoutes is how many routes lead out of a container.
	mostRoutes = 250
	// namesAddress is where in a container a server knows the routes' names.
	namesAddress = "127.102.0.53:53"
	resolvPath   = "/etc/resolv.conf"
	resolvConf   = "# Names that lead out of this container; fnb is told which others were asked for.\nnameserver 127.102.0.53\n"
)

// ways are the routes of a container, and what becomes of them.
type ways struct {
	routes []Route
	tell   func(Unreached) // or nil
}

// wantsNames reports whether the container has a server of names.
func (r *Request) wantsNames() bool {
	return r.hasTunnel() && (len(r.Routes) > 0 || r.Unreached != nil)
}

// checkRoutes says what is wrong with the routes.
func (r *Request) checkRoutes() error {
	if len(r.Routes) > mostRoutes {
		return fmt.Errorf("function %s: %d ways lead out of it, and %d are possible", r.Name, len(r.Routes), mostRoutes)
	}
	seen := map[string]bool{}
	for _, w := range r.Routes {
		key := strings.ToLower(w.Name) + ":" + strconv.Itoa(w.Port)
		switch {
		case w.Name == "" || strings.ContainsAny(w.Name, " \t\r\n=#/\x00") || net.ParseIP(w.Name) != nil || strings.EqualFold(w.Name, "localhost"):
			return fmt.Errorf("function %s: %q cannot be the name of a way out of it", r.Name, w.Name)
		case w.Port < 1 || w.Port > 65535:
			return fmt.Errorf("function %s: %s leads out at port %d, which does not exist", r.Name, w.Name, w.Port)
		case seen[key]:
			return fmt.Errorf("function %s: %s leads out twice", r.Name, key)
		}
		seen[key] = true
	}
	return nil
}

// addresses are those of the routes' names in the container, each its own.
func (w *ways) addresses() map[string]string {
	out := map[string]string{}
	for _, route := range w.routes {
		name := strings.ToLower(route.Name)
		if out[name] == "" {
			out[name] = "127.102.1." + strconv.Itoa(len(out)+1)
		}
	}
	return out
}

// hosts are the lines of the container's /etc/hosts.
func (w *ways) hosts() []*pb.HostIP {
	var out []*pb.HostIP
	addresses, seen := w.addresses(), map[string]bool{}
	for _, route := range w.routes {
		if name := strings.ToLower(route.Name); !seen[name] {
			seen[name] = true
			out = append(out, &pb.HostIP{Host: name, IP: addresses[name]})
		}
	}
	return out
}

// args are those of the command tunnel.
func (w *ways) args() []string {
	if len(w.routes) == 0 && w.tell == nil {
		return nil
	}
	args, addresses := []string{"--names", namesAddress}, w.addresses()
	for _, route := range w.routes {
		name := strings.ToLower(route.Name)
		args = append(args, name+"="+net.JoinHostPort(addresses[name], strconv.Itoa(route.Port)))
	}
	return args
}

// route is what the command tunnel calls by a number.
func (w *ways) route(number string) (Route, bool) {
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(w.routes) {
		return Route{}, false
	}
	return w.routes[i], true
}

// unreached tells of what the container looks for in vain.
func (w *ways) unreached(u Unreached) {
	if w.tell != nil {
		w.tell(u)
	}
}

// Mode is how the container's watchdog calls the function. It is there once the container was started.
func (r *Container) Mode() string {
	fallback := words.ModeStreaming
	if upstreamURL(r.env) != "" {
		fallback = words.ModeHTTP
	}
	return cmp.Or(env.Get(r.env, "mode"), fallback)
}

// upstreamURL is where a watchdog finds the function, by its name of today or by that of before.
func upstreamURL(environ []string) string {
	return cmp.Or(env.Get(environ, "upstream_url"), env.Get(environ, "http_upstream_url"))
}

// upstreamPort is where the function behind a watchdog listens, if its address says so.
func upstreamPort(environ []string) int {
	u, err := url.Parse(upstreamURL(environ))
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return 0
	}
	return port
}

// evade makes room for routes at the ports that the container's process listens at, on all
// addresses: those of a watchdog, or of an image that says PORT, can be others. What
// cannot evade keeps its port.
func (r *Container) evade(environ []string) []string {
	taken := []int{upstreamPort(environ)}
	for _, route := range r.ways.routes {
		taken = append(taken, route.Port)
	}
	free := func(port int) int {
		for slices.Contains(taken, port) {
			port++
		}
		taken = append(taken, port)
		return port
	}
	named := env.Get(environ, "PORT") != ""
	if !r.HasWatchdog() && !named {
		return environ
	}
	r.port = free(r.port)
	if r.HasWatchdog() {
		environ = env.Set(environ, "port", strconv.Itoa(r.port))
		if metrics, err := strconv.Atoi(cmp.Or(env.Get(environ, "metrics_port"), "8081")); err == nil && metrics > 0 {
			environ = env.Set(environ, "metrics_port", strconv.Itoa(free(metrics)))
		}
	}
	if named {
		environ = env.Set(environ, "PORT", strconv.Itoa(r.port))
	}
	return environ
}
