package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/images"
	"fnb/internal/stall"
	"fnb/schema"
)

// maxAttached is how many things may be attached to an image, and to what is attached to it, for it to be
// copied with them: an image has a few, and each costs some requests.
const maxAttached = 1000

// Copy makes each target name the image that ref names in its registry, with all platforms, and brings along
// what is attached to it, to its platforms' images, and to that in turn: signatures, SBOMs, provenance. The
// digests stay what they are. A digest in ref decides, whatever its tag names; one in a target must be the image's.
//
// Nothing is kept on this machine. Blobs that a target has are not sent, those of another repository of the
// same registry are taken over by it where it can, and the others pass through. A target's tag
// is written last, after the image and everything attached have arrived by digest: a copy that was broken off
// can be made again, and goes on with what is missing. A target that names the image already only gets
// what is attached and missing there.
//
// More than 1,000 things attached are a [*ReferrersError] before anything is written, and so is one that a registry
// lists and does not have. Without the referrers API at the target it gets the tag that stands in for it. The other
// errors are those of [Client.Push] and [Client.Pull].
func (c *Client) Copy(ctx context.Context, ref string, targets ...string) (*Pushed, error) {
	r, err := c.parse(ref)
	if err != nil {
		return nil, err
	}
	if r.Digest != "" {
		r.Tag = ""
	}
	from := &elsewhere{client: c, ref: r}
	desc, err := from.resolve(ctx)
	if err != nil {
		return nil, err
	}
	refs, err := c.targets(targets, desc)
	if err != nil {
		return nil, err
	}
	p := &push{client: c, from: from, desc: desc, again: true}
	return p.toAll(ctx, refs)
}

// PullAttached is [Client.Pull] of an image with all its platforms, and with what [Client.Copy] brings along. The
// image store has that attached to the image, so that [Client.Push] brings it on.
func (c *Client) PullAttached(ctx context.Context, ref string, store *images.Store) (v1.Descriptor, error) {
	desc, err := c.Pull(ctx, ref, store, schema.Platform{})
	if err != nil {
		return desc, err
	}
	r, err := c.parse(ref)
	if err != nil {
		return desc, err
	}
	release, err := store.Hold(ctx)
	if err != nil {
		return desc, err
	}
	defer release()
	t, err := store.Walk(ctx, desc)
	if err != nil {
		return desc, err
	}
	all, err := attachedBelow(ctx, &elsewhere{client: c, ref: r}, t)
	if err != nil {
		return desc, err
	}
	p := &pull{client: c, store: store, ref: r}
	for _, a := range all {
		var descs []v1.Descriptor
		for _, t := range a.referrers {
			descs = append(descs, top(t))
			if err := p.fetch(asking(ctx, r), top(t), 0); err != nil {
				return desc, c.explain(ctx, err, r)
			}
		}
		if err := store.PutAttached(ctx, a.subject, descs...); err != nil {
			return desc, err
		}
	}
	return desc, nil
}

// A source has images: the image store, or a registry.
type source interface {
	// name is what the image is called there.
	name() string
	// tree reads an image, without its layers.
	tree(ctx context.Context, desc v1.Descriptor) (*images.Tree, error)
	// attached lists what refers to a digest.
	attached(ctx context.Context, subject v1.Hash) ([]v1.Descriptor, error)
	// layer is a blob, whose sending is watched.
	layer(ctx context.Context, d v1.Descriptor, watch *stall.Watch) (v1.Layer, error)
	// sibling names a repository of repo's registry that may have a blob too.
	sibling(ctx context.Context, repo name.Repository) func(v1.Hash) name.Repository
}

// An attachedTo is what refers to one digest.
type attachedTo struct {
	subject   v1.Hash
	referrers []*images.Tree
}

// top is what a tree is of.
func top(t *images.Tree) v1.Descriptor { return t.Manifests[len(t.Manifests)-1] }

// attachedBelow reads what is attached to an image, to what is in it, and to that in turn.
func attachedBelow(ctx context.Context, from source, t *images.Tree) ([]attachedTo, error) {
	var out []attachedTo
	count, seen := 0, map[v1.Hash]bool{}
	for below := slices.Clone(t.Manifests); len(below) > 0; below = below[1:] {
		to := attachedTo{subject: below[0].Digest}
		if seen[to.subject] {
			continue
		}
		seen[to.subject] = true
		all, err := from.attached(ctx, to.subject)
		if err != nil {
			return nil, err
		}
		if count += len(all); count > maxAttached {
			return nil, &ReferrersError{Reference: from.name(), Subject: top(t).Digest.String(), Count: count, Most: maxAttached}
		}
		for _, d := range all {
			one, err := from.tree(ctx, d)
			if _, none := errors.AsType[*NotFoundError](err); none {
				return nil, &ReferrersError{Reference: from.name(), Subject: to.subject.String(), Lost: d.Digest.String()}
			}
			if err != nil {
				return nil, err
			}
			to.referrers = append(to.referrers, one)
			below = append(below, d)
		}
		if len(all) > 0 {
			out = append(out, to)
		}
	}
	return out, nil
}

// elsewhere is a repository that an image comes from.
type elsewhere struct {
	client *Client
	ref    reference
}

// resolve returns what the reference names.
func (e *elsewhere) resolve(ctx context.Context) (v1.Descriptor, error) {
	got, err := e.get(ctx, e.ref.name())
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: got.MediaType, Size: got.Size, Digest: got.Digest}, nil
}

func (e *elsewhere) get(ctx context.Context, ref name.Reference) (*remote.Descriptor, error) {
	ctx, _ = withBudget(asking(ctx, e.ref))
	_, puller := e.client.remotes()
	got, err := puller.Get(ctx, ref)
	if err != nil {
		return nil, e.client.explain(ctx, err, e.ref)
	}
	return got, nil
}

// open opens a blob, which is compared with its digest.
func (e *elsewhere) open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	_, puller := e.client.remotes()
	l, err := puller.Layer(asking(ctx, e.ref), e.ref.repo.Digest(d.Digest.String()))
	if err != nil {
		return nil, e.client.explain(ctx, err, e.ref)
	}
	r, err := l.Compressed()
	if err != nil {
		return nil, e.client.explain(ctx, err, e.ref)
	}
	return r, nil
}

func (e *elsewhere) tree(ctx context.Context, desc v1.Descriptor) (*images.Tree, error) {
	t, err := images.Walk(ctx, desc, func(d v1.Descriptor) ([]byte, error) {
		got, err := e.get(ctx, e.ref.repo.Digest(d.Digest.String())) // which checks the digest
		if err != nil {
			return nil, err
		}
		return got.Manifest, nil
	}, nil)
	if err != nil && ours(err) == nil {
		err = fmt.Errorf("%s: %w", e.ref, err)
	}
	return t, err
}

func (e *elsewhere) name() string { return e.ref.String() }

func (e *elsewhere) attached(ctx context.Context, subject v1.Hash) ([]v1.Descriptor, error) {
	return e.client.Referrers(ctx, e.ref.String(), subject.String(), "")
}

func (e *elsewhere) layer(ctx context.Context, d v1.Descriptor, watch *stall.Watch) (v1.Layer, error) {
	return partial.CompressedToLayer(&passed{from: e, ctx: ctx, desc: d, watch: watch})
}

func (e *elsewhere) sibling(_ context.Context, repo name.Repository) func(v1.Hash) name.Repository {
	from := e.ref.repo
	if repo.RegistryStr() != from.RegistryStr() {
		from = name.Repository{}
	}
	return func(v1.Hash) name.Repository { return from }
}

// A passed blob comes from one registry and goes to another.
type passed struct {
	from  *elsewhere
	ctx   context.Context //nolint:containedctx // of the upload; a layer is given none
	desc  v1.Descriptor
	watch *stall.Watch
}

// Digest implements [partial.CompressedLayer].
func (p *passed) Digest() (v1.Hash, error) { return p.desc.Digest, nil }

// Size implements [partial.CompressedLayer].
func (p *passed) Size() (int64, error) { return p.desc.Size, nil }

// MediaType implements [partial.CompressedLayer].
func (p *passed) MediaType() (types.MediaType, error) { return p.desc.MediaType, nil }

// Compressed opens the blob where it comes from; what is read is compared with its digest.
func (p *passed) Compressed() (io.ReadCloser, error) {
	r, err := p.from.open(p.ctx, p.desc)
	if err != nil {
		return nil, err
	}
	return watchBlob(p.watch, r), nil
}

// kept is the image store, as a source.
type kept struct {
	client *Client
	store  *images.Store
	ref    string
}

func (k *kept) name() string { return k.ref }

func (k *kept) tree(ctx context.Context, desc v1.Descriptor) (*images.Tree, error) {
	return k.store.Walk(ctx, desc)
}

func (k *kept) attached(_ context.Context, subject v1.Hash) ([]v1.Descriptor, error) {
	return k.store.Attached(subject)
}

func (k *kept) layer(_ context.Context, d v1.Descriptor, watch *stall.Watch) (v1.Layer, error) {
	return partial.CompressedToLayer(&sentBlob{Blob: k.store.Blob(d), watch: watch})
}

func (k *kept) sibling(ctx context.Context, repo name.Repository) func(v1.Hash) name.Repository {
	all := k.client.siblings(ctx, k.store, repo)
	return func(h v1.Hash) name.Repository { return all[h] }
}
