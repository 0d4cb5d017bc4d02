package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/source"
	"github.com/moby/buildkit/source/git"
	sourcehttp "github.com/moby/buildkit/source/http"
	"github.com/moby/buildkit/util/gitutil"
	"github.com/moby/buildkit/util/tracing"
	"github.com/moby/buildkit/worker/base"

	"fnb/builder/stepnet"
	"fnb/schema/settings"
)

// guard has ADD reach no more than a RUN step: what a Dockerfile names is the
// template's too, though the builder fetches it.
func (n stepNetwork) guard(w *base.Worker) error {
	if n.mode != settings.NetworkOwn {
		return nil
	}
	files, err := sourcehttp.NewSource(sourcehttp.Opt{CacheAccessor: w.CacheMgr, Transport: newGuardedTransport(n.reach)})
	if err != nil {
		return err
	}
	w.HTTPSource = files
	w.SourceManager.Register(files)
	if w.GitSource != nil {
		w.SourceManager.Register(guardedGit{w.GitSource, n.reach})
	}
	return nil
}

// A guardedTransport asks servers that are reached, and the user's own proxy.
type guardedTransport struct{ direct, proxied http.RoundTripper }

func newGuardedTransport(reach stepnet.Reach) http.RoundTripper {
	direct := &http.Transport{
		DialContext: reach.Dialer().DialContext, ForceAttemptHTTP2: true, MaxIdleConns: 100,
		IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second, ExpectContinueTimeout: time.Second,
	}
	return guardedTransport{direct: tracing.NewTransport(direct), proxied: tracing.DefaultTransport}
}

// RoundTrip is asked anew for each redirect.
func (t guardedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	proxy, err := http.ProxyFromEnvironment(req)
	if err != nil {
		return nil, err
	}
	if proxy != nil {
		return t.proxied.RoundTrip(req)
	}
	return t.direct.RoundTrip(req)
}

// A guardedGit looks a repository's host up before git does. What git then follows,
// redirects and submodules, is not looked at.
type guardedGit struct {
	*git.Source
	reach stepnet.Reach
}

// Identifier is what both a fetch and a question for a commit begin with.
func (g guardedGit) Identifier(scheme, ref string, attrs map[string]string, platform *pb.Platform) (source.Identifier, error) {
	id, err := g.Source.Identifier(scheme, ref, attrs, platform)
	if err != nil {
		return nil, err
	}
	if repository, ok := id.(*git.GitIdentifier); ok {
		if err := g.check(repository.Remote); err != nil {
			return nil, fmt.Errorf("fetching a git repository: %w", err)
		}
	}
	return id, nil
}

func (g guardedGit) check(remote string) error {
	u, err := gitutil.ParseURL(remote)
	if err != nil {
		return err
	}
	host, service, err := net.SplitHostPort(u.Host)
	if err != nil {
		host, service = u.Host, ""
	}
	port, err := strconv.ParseUint(cmp.Or(service, map[string]string{"http": "80", "https": "443", "ssh": "22"}[u.Scheme], "9418"), 10, 16)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // BuildKit gives none
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil //nolint:nilerr // git says so, or asks a proxy
	}
	for _, a := range found {
		if err := g.reach.Check(ctx, netip.AddrPortFrom(a, uint16(port))); stepnet.Refused(err) {
			return err
		}
	}
	return nil
}
