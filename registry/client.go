package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"fnb/origin"
	"fnb/registry/answers"
	"fnb/registry/credentials"
)

// Options say how a [Client] speaks to registries. The zero value works.
type Options struct {
	// Insecure are hosts, with their ports, that may be spoken to in plain HTTP.
	// This machine always may.
	Insecure []string
	// RootCAs are the certificate authorities; nil means the system's.
	RootCAs *x509.CertPool
	// UserAgent is sent to registries; "" means "fnb".
	UserAgent string
	// Jobs is how many blobs are on their way at once, of all pushes and pulls
	// of the client together; 0 means 4.
	Jobs int
	// DockerConfig is the folder of Docker's config.json, which is read for
	// credentials and which Login writes; "" means $DOCKER_CONFIG or ~/.docker.
	DockerConfig string
	// AuthFiles are further credential files, read where Docker's has nothing
	// for a registry; nil means the places of Podman, and none is an empty slice.
	AuthFiles []string
	// Anonymous means that registries are asked without credentials, whatever there is.
	Anonymous bool
	// Least is how far away registries must be that are asked for, which is for references
	// that come from elsewhere: a nearer one is an [*origin.ReachError]. Those of Insecure,
	// and of the variable [origin.PrivateHosts], may be anywhere. The zero value allows all.
	Least origin.Reach
}

// A Client speaks to registries. It remembers in which repositories it has seen
// a blob, so one client should serve a whole run.
type Client struct {
	opts   Options
	keys   *credentials.Keychain
	trans  *retryTransport
	reader http.RoundTripper // above trans
	pings  *pingTransport    // above reader
	slots  chan struct{}
	places places
	stall  time.Duration // after which a transfer that does not move is broken off

	mu     sync.Mutex
	pusher *remote.Pusher
	puller *remote.Puller

	// contents are the blobs of stored images: v1.Hash to []v1.Hash.
	contents sync.Map

	referring
}

// referring is what a client has learnt of those to whom it speaks of referrers.
type referring struct {
	speakers    sync.Map // *http.Client by repository
	noReferrers sync.Map // registries without the referrers API
	emptied     sync.Map // repositories that have the configuration of what is no image
	writing     named    // lists of referrers, and such configurations, that are being written
}

// New returns a client. It speaks to nobody yet.
func New(opts Options) (*Client, error) {
	opts.Jobs = cmp.Or(max(opts.Jobs, 0), 4)
	opts.UserAgent = cmp.Or(opts.UserAgent, "fnb")
	c := &Client{opts: opts, slots: make(chan struct{}, opts.Jobs), stall: longestStall}
	c.keys = credentials.New(credentials.Options{DockerConfig: opts.DockerConfig, AuthFiles: opts.AuthFiles, Anonymous: opts.Anonymous})
	c.trans = newTransport(opts, c.plain)
	c.reader = &traceTransport{inner: &answers.Transport{Inner: c.trans, Guarded: true}}
	c.pings = &pingTransport{inner: c.reader}
	return c, c.reset()
}

// Outward returns a client for references that registries have sent: it asks none that is nearer than the nearest
// that c has met, which is an [*origin.ReachError].
func (c *Client) Outward() (*Client, error) {
	opts := c.opts
	nearest, _, _ := c.trans.lead.met()
	opts.Least = max(opts.Least, nearest)
	return New(opts)
}

// reset makes the client ask for credentials anew.
func (c *Client) reset() error {
	c.keys.Forget()
	// The transport does the waiting: it keeps to Retry-After and to contexts.
	common := []remote.Option{
		remote.WithAuthFromKeychain(c.keys),
		remote.WithTransport(c.pings),
		remote.WithUserAgent(c.opts.UserAgent),
		remote.WithJobs(c.opts.Jobs),
		remote.WithRetryBackoff(remote.Backoff{Duration: time.Millisecond, Steps: 1}),
		remote.WithRetryPredicate(func(error) bool { return false }),
		remote.WithRetryStatusCodes(),
		remote.WithNondistributable,
	}
	pusher, err := remote.NewPusher(common...)
	if err != nil {
		return fmt.Errorf("making a registry client: %w", err)
	}
	puller, err := remote.NewPuller(common...)
	if err != nil {
		return fmt.Errorf("making a registry client: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pusher, c.puller = pusher, puller
	c.speakers.Clear()
	return nil
}

// remotes returns what speaks to registries; it keeps tokens and connections.
func (c *Client) remotes() (*remote.Pusher, *remote.Puller) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pusher, c.puller
}

// plain reports whether host may be spoken to in plain HTTP.
func (c *Client) plain(host string) bool {
	return origin.IsLoopback(host) || slices.Contains(c.opts.Insecure, host)
}

// parse reads a reference and knows which registries may use plain HTTP.
func (c *Client) parse(s string) (reference, error) {
	r, err := parseReference(s)
	if err != nil {
		return r, err
	}
	c.trans.lead.name(r.repo.RegistryStr())
	if !c.plain(r.repo.RegistryStr()) {
		return r, nil
	}
	return parseReference(s, name.Insecure)
}

// Head returns what ref names in its registry, without its content: digest, size
// and media type. If the registry does not have it, Head returns a
// [*NotFoundError].
func (c *Client) Head(ctx context.Context, ref string) (v1.Descriptor, error) {
	r, err := c.parse(ref)
	if err != nil {
		return v1.Descriptor{}, err
	}
	ctx, _ = withBudget(asking(ctx, r))
	_, puller := c.remotes()
	d, err := puller.Head(ctx, r.name())
	if err != nil {
		return v1.Descriptor{}, c.explain(ctx, err, r)
	}
	if r.Digest != "" && d.Digest.String() != r.Digest {
		return v1.Descriptor{}, &NotFoundError{Reference: r.String(), Host: r.Registry, Message: "the tag names " + d.Digest.String()}
	}
	return *d, nil
}

// explain makes a typed error of err and adds what the client knows about the
// credentials.
func (c *Client) explain(ctx context.Context, err error, r reference) error {
	err = c.asked(explain(ctx, err, r.Registry, r.String()), r.repo.RegistryStr())
	auth, ok := errors.AsType[*AuthError](err)
	if !ok {
		return err
	}
	found, ferr := c.keys.Find(ctx, r.repo.RegistryStr(), r.repo.RepositoryStr())
	auth.Anonymous = ferr == nil && found == (authn.AuthConfig{})
	return err
}

// asked notes how a registry is asked that gave no answer.
func (c *Client) asked(err error, host string) error {
	u, ok := errors.AsType[*UnavailableError](err)
	if _, byTLS := errors.AsType[*tls.CertificateVerificationError](err); ok && !byTLS && u.Status == 0 {
		u.PlainHTTP = c.plain(host)
	}
	return err
}

// slot waits until another blob may be on its way.
func (c *Client) slot(ctx context.Context) (release func(), err error) {
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// places remember which repository of a registry has a blob, or is just getting
// it, so that the others can take it over from there.
type places struct {
	mu    sync.Mutex
	known map[place]*placed
}

type place struct{ registry, digest string }

type placed struct {
	done chan struct{} // closed when the upload has ended
	repo name.Repository
	ok   bool // the repository has the blob; read after done is closed
}

// claim returns the place of a blob, and whether the caller is the one who
// brings it there and has to call settle.
func (p *places) claim(blob place, repo name.Repository) (at *placed, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.known[blob]; ok {
		return at, false
	}
	if p.known == nil {
		p.known = map[place]*placed{}
	}
	at = &placed{done: make(chan struct{}), repo: repo}
	p.known[blob] = at
	return at, true
}

// find returns a repository that has got a blob.
func (p *places) find(blob place) (name.Repository, bool) {
	p.mu.Lock()
	at := p.known[blob]
	p.mu.Unlock()
	if at == nil {
		return name.Repository{}, false
	}
	select {
	case <-at.done:
		return at.repo, at.ok
	default:
		return name.Repository{}, false
	}
}

// settle says whether the blob has arrived. A place that failed is forgotten, so
// that the next one tries for itself.
func (p *places) settle(blob place, at *placed, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at.ok = ok
	if !ok {
		delete(p.known, blob)
	}
	close(at.done)
}
