package git

import (
	"cmp"
	"context"
	"net"
	"net/url"
	"strings"

	"fnb/gitrepo"
	"fnb/internal/plain"
	"fnb/origin"
)

// An InwardError says that nothing was asked of a host, because it is on this machine or
// in a private network, and the store or server that leads there is not.
type InwardError struct {
	URL   string // without credentials
	Host  string // without port
	Reach origin.Reach
}

func (e *InwardError) Error() string {
	return e.URL + ": " + plain.Short(e.Host) + " is " + e.Reach.String() + ", but the store that names it is not"
}

// anywhere reports whether a host, with its port, is one that any store may name.
func (o Options) anywhere(host string) bool {
	return origin.Listed(o.Getenv(origin.PrivateHosts), host)
}

// checkReach returns an [*InwardError] where the host of the repository is nearer than
// may be. Of HTTP the transport looks at each address as well, when it connects.
func (r *Remote) checkReach(ctx context.Context, host string, resolve bool) error {
	opts, least := r.client.opts, r.least()
	if least == origin.Machine || opts.anywhere(host) {
		return nil
	}
	reach, known := origin.ReachOfHost(host)
	if !known && resolve {
		reach = reachOfName(ctx, host, func(a, b origin.Reach) bool { return a < b })
	}
	if reach < least {
		return &InwardError{URL: r.url, Host: host, Reach: reach}
	}
	return nil
}

// reachOfName is the reach of a name's addresses, of several the one that comes first. A
// name without any is public: nobody can be asked.
func reachOfName(ctx context.Context, host string, before func(a, b origin.Reach) bool) origin.Reach {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return origin.Public
	}
	reach := origin.ReachOf(addrs[0])
	for _, a := range addrs[1:] {
		if o := origin.ReachOf(a); before(o, reach) {
			reach = o
		}
	}
	return reach
}

// met is how far away those were who answered by HTTP.
func (g *guard) met() origin.Reach {
	if _, farthest, ok := g.inner.Met(); ok {
		return farthest
	}
	return origin.Public
}

// ReachOfClone is how far away the repository is that a store in a folder was cloned
// from; a folder of nobody else's is here.
func ReachOfClone(ctx context.Context, dir string) origin.Reach {
	repo, err := gitrepo.Open(ctx, dir, gitrepo.Options{Itself: true})
	if err != nil {
		return origin.Machine
	}
	text, err := repo.Remote(ctx, "origin")
	if err != nil || text == "" {
		return origin.Machine
	}
	u, err := url.Parse(text)
	host := ""
	switch {
	case err == nil && u.Scheme != "" && u.Scheme != "file":
		host = u.Hostname()
	case !strings.Contains(text, "://") && strings.Contains(text, "@") && strings.Contains(text, ":"):
		_, rest, _ := strings.Cut(text, "@")
		host, _, _ = strings.Cut(rest, ":")
	default:
		return origin.Machine
	}
	if reach, known := origin.ReachOfHost(host); known {
		return reach
	}
	return reachOfName(ctx, cmp.Or(host, "."), func(a, b origin.Reach) bool { return a > b })
}
