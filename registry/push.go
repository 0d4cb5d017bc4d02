package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"fnb/images"
	"fnb/internal/stall"
)

// A Pushed is what one [Client.Push] did.
type Pushed struct {
	Digest     string
	References []string // the targets, in full
	Sent       int64    // bytes of blobs that were sent
	Mounted    int64    // bytes of blobs taken over from other repositories
	Present    int64    // bytes of blobs that the registry had
	Unchanged  bool     // every target named the image already
	Attached   int      // things that were attached, and that a target did not have
	Refused    error    // why a target does not have what is attached to the image; nil where it has
}

// Push makes each target name the image that ref names in the image store; with
// no targets, ref itself. Nothing is rebuilt, blobs that a registry has are not
// sent, and a blob that another repository of the registry has is taken over
// from there. What is attached to the image in the image store is brought along. A target is changed only after
// everything it names, and everything attached, has arrived; one that names the image already costs
// one request. That what is attached cannot be brought is [Pushed.Refused], and no error. A digest in a target must be the image's.
func (c *Client) Push(ctx context.Context, store *images.Store, ref string, targets ...string) (*Pushed, error) {
	if len(targets) == 0 {
		targets = []string{ref}
	}
	desc, err := store.Resolve(ref)
	if err != nil {
		return nil, err
	}
	refs, err := c.targets(targets, desc)
	if err != nil {
		return nil, err
	}
	// The blobs must not be pruned while they are read.
	release, err := store.Hold(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	p := &push{client: c, from: &kept{client: c, store: store, ref: ref}, desc: desc}
	return p.toAll(ctx, refs)
}

func (c *Client) targets(targets []string, desc v1.Descriptor) ([]reference, error) {
	var refs []reference
	for _, t := range targets {
		r, err := c.parse(t)
		if err != nil {
			return nil, err
		}
		if r.Digest != "" && r.Digest != desc.Digest.String() {
			return nil, images.BadReference(t, "its digest is not the image's, "+desc.Digest.String())
		}
		refs = append(refs, r)
	}
	return refs, nil
}

// A push is one image on its way to its targets.
type push struct {
	client *Client
	from   source
	desc   v1.Descriptor
	again  bool // a target that names the image gets what is attached too, and one that does not take it is an error

	// What the image is made of, and what is attached to it; nil until it is needed.
	image    *images.Tree
	attached []attachedTo

	mu     sync.Mutex
	result Pushed
}

// toAll brings the image to its targets.
func (p *push) toAll(ctx context.Context, refs []reference) (*Pushed, error) {
	p.result = Pushed{Digest: p.desc.Digest.String(), Unchanged: true}
	for _, r := range refs {
		p.result.References = append(p.result.References, r.String())
		if err := p.to(asking(ctx, r), r); err != nil {
			err = p.client.explain(ctx, err, r)
			if none, ok := errors.AsType[*NotFoundError](err); ok && none.Reference == r.String() {
				none.Pushed = true
			}
			return nil, err
		}
	}
	return &p.result, nil
}

// to brings the image to one target, whose tag is written last.
func (p *push) to(ctx context.Context, r reference) error {
	named, err := p.exists(ctx, r.name())
	if err != nil || named && !p.again {
		return err
	}
	if err := p.look(ctx); err != nil {
		return err
	}
	sibling := p.from.sibling(ctx, r.repo)
	if named {
		return p.attach(ctx, r, sibling)
	}
	p.result.Unchanged = false
	byDigest := r.repo.Digest(p.desc.Digest.String())
	there, err := p.exists(ctx, byDigest)
	if err != nil {
		return err
	}
	if !there {
		if err := p.bring(ctx, r, p.image, sibling); err != nil {
			return err
		}
	}
	if len(p.attached) > 0 {
		if !there {
			if err := p.put(ctx, p.desc, p.image, byDigest); err != nil {
				return err
			}
		}
		err := p.client.explain(ctx, p.attach(ctx, r, sibling), r)
		if err != nil && (p.again || ctx.Err() != nil) {
			return err
		}
		p.result.Refused = err
	}
	return p.put(ctx, p.desc, p.image, r.name())
}

// look reads what the image is made of, and what is attached to it.
func (p *push) look(ctx context.Context) (err error) {
	if p.image != nil {
		return nil
	}
	if p.image, err = p.from.tree(ctx, p.desc); err == nil {
		p.attached, err = attachedBelow(ctx, p.from, p.image)
	}
	return err
}

// attach brings what is attached to the image, and is not there.
func (p *push) attach(ctx context.Context, r reference, sibling func(v1.Hash) name.Repository) error {
	s := &session{client: p.client, ref: r}
	for _, to := range p.attached {
		var all []referrer
		for _, t := range to.referrers {
			all = append(all, referrer{desc: top(t), raw: t.Raw[top(t).Digest], bring: func(ctx context.Context) error {
				p.mu.Lock()
				p.result.Attached++
				p.mu.Unlock()
				return p.bring(ctx, r, t, sibling)
			}})
		}
		if err := s.attach(ctx, to.subject, all); err != nil {
			return err
		}
	}
	return nil
}

// exists reports whether ref names the image in the registry. Some registries
// answer 403 for what is not there, so that is left to the upload to settle.
func (p *push) exists(ctx context.Context, ref name.Reference) (bool, error) {
	ctx, _ = withBudget(ctx)
	_, puller := p.client.remotes()
	d, err := puller.Head(ctx, ref)
	if err == nil {
		return d.Digest == p.desc.Digest, nil
	}
	if t, ok := errors.AsType[*transport.Error](err); ok && ctx.Err() == nil && t.StatusCode >= 400 && t.StatusCode < 500 {
		return false, nil
	}
	return false, err
}

// bring sends all blobs of a tree, and then the manifests below its own.
func (p *push) bring(ctx context.Context, r reference, t *images.Tree, sibling func(v1.Hash) name.Repository) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, b := range t.Blobs {
		release, err := p.client.slot(gctx)
		if err != nil {
			break // the group knows why
		}
		g.Go(func() error {
			defer release()
			return p.blob(gctx, r, b, sibling(b.Digest))
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, m := range t.Manifests[:len(t.Manifests)-1] {
		if err := p.put(ctx, m, t, r.repo.Digest(m.Digest.String())); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// blob brings one blob to r's repository. Where another push of the same client
// is sending it to the same registry, blob waits for that and takes it over.
func (p *push) blob(ctx context.Context, r reference, d v1.Descriptor, from name.Repository) error {
	key := place{registry: r.repo.RegistryStr(), digest: d.Digest.String()}
	at, first := p.client.places.claim(key, r.repo)
	if first {
		err := p.upload(ctx, r, d, from)
		p.client.places.settle(key, at, err == nil)
		return err
	}
	select {
	case <-at.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if !at.ok {
		return p.upload(ctx, r, d, name.Repository{})
	}
	return p.upload(ctx, r, d, at.repo)
}

// upload brings one blob to r's repository, from another one when from is not
// the zero value. An upload that breaks is started anew.
func (p *push) upload(ctx context.Context, r reference, d v1.Descriptor, from name.Repository) error {
	ctx, budget := withBudget(ctx)
	ctx, trace := withTrace(ctx)
	pusher, _ := p.client.remotes()
	for {
		attempt, watch := stall.New(ctx, p.client.stall)
		layer, err := p.from.layer(attempt, d, watch)
		if err != nil {
			watch.End()
			return err
		}
		if from != (name.Repository{}) && from != r.repo {
			layer = &remote.MountableLayer{Layer: layer, Reference: from.Digest(d.Digest.String())}
		}
		err = explainStall(watch, pusher.Upload(attempt, r.repo, layer))
		watch.End()
		if err == nil {
			p.count(d, trace.outcome())
			return nil
		}
		if ctx.Err() != nil || !worthAnew(err) || !budget.wait(ctx, 0, maxAttempts) {
			return err
		}
		from = name.Repository{}
	}
}

// worthAnew reports whether a new upload may succeed where one has failed: the
// connection broke, or the registry has lost what it had of the upload.
func worthAnew(err error) bool {
	t, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return ours(err) == nil && isTransient(err)
	}
	for _, d := range t.Errors {
		if d.Code == transport.BlobUploadUnknownErrorCode || d.Code == transport.BlobUploadInvalidErrorCode {
			return true
		}
	}
	switch t.StatusCode {
	case http.StatusRequestTimeout, http.StatusRequestedRangeNotSatisfiable, http.StatusTooManyRequests:
		return true
	}
	return t.StatusCode >= 500
}

// A sentBlob is a stored blob whose reading is watched.
type sentBlob struct {
	*images.Blob
	watch *stall.Watch
}

// Compressed opens the blob to be sent.
func (b *sentBlob) Compressed() (io.ReadCloser, error) {
	f, err := b.Blob.Compressed()
	if err != nil {
		return nil, err
	}
	return watchBlob(b.watch, f), nil
}

func (p *push) count(d v1.Descriptor, became fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch became {
	case fateMounted:
		p.result.Mounted += d.Size
	case fateSent:
		p.result.Sent += d.Size
	default:
		// Where there was no request either, the client has brought it to this repository
		// before.
		p.result.Present += d.Size
	}
}

// put writes one manifest under ref.
func (p *push) put(ctx context.Context, d v1.Descriptor, t *images.Tree, ref name.Reference) error {
	ctx, _ = withBudget(ctx)
	pusher, _ := p.client.remotes()
	if err := pusher.Put(ctx, ref, &rawManifest{raw: t.Raw[d.Digest], mediaType: d.MediaType}); err != nil {
		return err
	}
	return nil
}

// A rawManifest is a manifest as it goes over the wire.
type rawManifest struct {
	raw       []byte
	mediaType types.MediaType
}

// RawManifest implements [remote.Taggable].
func (m *rawManifest) RawManifest() ([]byte, error) { return m.raw, nil }

// MediaType says what to call it in the request.
func (m *rawManifest) MediaType() (types.MediaType, error) { return m.mediaType, nil }

// siblings returns, for the blobs of the image store, another repository of the
// same registry whose image has the blob too. That image may never have been
// pushed; then the registry just asks for the blob.
func (c *Client) siblings(ctx context.Context, store *images.Store, repo name.Repository) map[v1.Hash]name.Repository {
	found := map[v1.Hash]name.Repository{}
	entries, err := store.List()
	if err != nil {
		return found // only a shortcut is lost
	}
	for _, e := range entries {
		r, err := parseReference(e.Reference)
		if err != nil || r.repo.RegistryStr() != repo.RegistryStr() || r.repo.RepositoryStr() == repo.RepositoryStr() {
			continue
		}
		for _, b := range c.blobsOf(ctx, store, e.Descriptor) {
			if _, ok := found[b]; !ok {
				found[b] = r.repo
			}
		}
	}
	return found
}

// blobsOf returns the blobs of a stored image, and remembers them: a digest never
// names anything else. An image that cannot be read has none.
func (c *Client) blobsOf(ctx context.Context, store *images.Store, desc v1.Descriptor) []v1.Hash {
	if known, ok := c.contents.Load(desc.Digest); ok {
		if blobs, ok := known.([]v1.Hash); ok {
			return blobs
		}
	}
	t, err := store.Walk(ctx, desc)
	if err != nil {
		return nil
	}
	var blobs []v1.Hash
	for _, b := range t.Blobs {
		blobs = append(blobs, b.Digest)
	}
	c.contents.Store(desc.Digest, blobs)
	return blobs
}
