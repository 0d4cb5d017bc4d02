package store

import (
	"cmp"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
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
	return e.URL + ": " + plain.Short(e.Host) + " is " + e.Reach.String() + ", where the store that names it is not"
}

// anywhere reports whether a host, with its port, is one that any store may name.
func (o Options) anywhere(host string) bool {
	return origin.Listed(o.Getenv(origin.PrivateHosts), host)
}

// reachOf is how far away a store is: a record of it may lead to what is as far or
// farther. Of a store that was never read nothing is known, and it counts as public.
func (s *Store) reachOf(c Configured) origin.Reach {
	if c.isHere() {
		return origin.Machine
	}
	var st indexState
	data, err := os.ReadFile(s.cache.indexPath(c.URL, ".json"))
	if err != nil || json.Unmarshal(data, &st) != nil || st.URL != c.URL {
		return origin.Public
	}
	return st.Reach
}

// reachOfPackage is reachOf for the store that the namespace of a package belongs to.
func (s *Store) reachOfPackage(name string) origin.Reach {
	ns, _, _ := strings.Cut(name, "/")
	all, err := s.Stores()
	if err != nil {
		return origin.Public
	}
	for _, c := range all {
		if slices.Contains(c.Namespaces, ns) {
			return s.reachOf(c)
		}
	}
	return origin.Machine // it is in no store that was added: the caller's own
}

// within is the store for what somebody leads to who is so far away.
func (s *Store) within(reach origin.Reach) *Store {
	near := *s
	near.opts.least = max(s.opts.least, reach)
	return &near
}

// checkReach returns an [*InwardError] where the host of the repository is nearer than
// may be. Of HTTP the transport looks at each address as well, when it connects.
func (r *remote) checkReach(ctx context.Context, host string, resolve bool) error {
	opts, least := r.store.opts, r.least()
	if least == origin.Machine || opts.anywhere(host) {
		return nil
	}
	reach, known := origin.ReachOfHost(host)
	if !known && resolve {
		reach = resolved(ctx, host, func(a, b origin.Reach) bool { return a < b })
	}
	if reach < least {
		return &InwardError{URL: r.url, Host: host, Reach: reach}
	}
	return nil
}

// resolved is the reach of a name's addresses, of several the one that comes first. A
// name without any is public: nobody can be asked.
func resolved(ctx context.Context, host string, before func(a, b origin.Reach) bool) origin.Reach {
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

// reachOfFolder is how far away the repository is that a store in a folder was cloned
// from; a folder of nobody else's is here.
func reachOfFolder(ctx context.Context, dir string) origin.Reach {
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
	return resolved(ctx, cmp.Or(host, "."), func(a, b origin.Reach) bool { return a > b })
}

// An answered is an answer, and how far away whoever gave it was.
type answered struct {
	*http.Response
	reach origin.Reach
}
