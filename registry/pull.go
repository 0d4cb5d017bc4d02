package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"fnb/images"
	"fnb/internal/stall"
	"fnb/schema"
)

// Pull brings what ref names in its registry into the image store, where it gets
// the same reference, and returns its descriptor. With a platform only that
// image of a multi-platform image is brought; the zero value brings all. Blobs that
// the store has are not fetched.
func (c *Client) Pull(ctx context.Context, ref string, store *images.Store, platform schema.Platform) (v1.Descriptor, error) {
	r, err := c.parse(ref)
	if err != nil {
		return v1.Descriptor{}, err
	}
	release, err := store.Hold(ctx)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer release()
	p := &pull{client: c, store: store, ref: r}
	desc, err := p.run(asking(ctx, r), platform)
	if err != nil {
		return v1.Descriptor{}, c.explain(ctx, err, r)
	}
	key := r
	if platform != (schema.Platform{}) {
		key.Digest = "" // which is the index's
	}
	if key.Tag == "" && key.Digest == "" {
		key.Digest = desc.Digest.String()
	}
	if err := store.Put(ctx, key.String(), desc); err != nil {
		return v1.Descriptor{}, err
	}
	return desc, nil
}

// A pull is one image on its way into the image store.
type pull struct {
	client *Client
	store  *images.Store
	ref    reference
}

func (p *pull) run(ctx context.Context, platform schema.Platform) (v1.Descriptor, error) {
	top, err := p.manifest(ctx, p.ref.name())
	if err != nil {
		return v1.Descriptor{}, err
	}
	desc := top.Descriptor
	if p.ref.Digest != "" && desc.Digest.String() != p.ref.Digest {
		return desc, &NotFoundError{Reference: p.ref.String(), Host: p.ref.Registry, Message: "the tag names " + desc.Digest.String()}
	}
	if platform != (schema.Platform{}) && desc.MediaType.IsIndex() {
		m, err := v1.ParseIndexManifest(bytes.NewReader(top.Manifest))
		if err != nil {
			return desc, fmt.Errorf("%s: reading its index: %w", p.ref, err)
		}
		var all []v1.Descriptor
		for _, d := range m.Manifests {
			if images.ForPlatform(d) {
				all = append(all, d)
			}
		}
		if desc, err = choose(p.ref.String(), all, platform); err != nil {
			return desc, err
		}
	}
	desc.Data = nil
	return desc, p.fetch(ctx, desc, 0)
}

// manifest gets one manifest; its digest is checked.
func (p *pull) manifest(ctx context.Context, ref name.Reference) (*remote.Descriptor, error) {
	ctx, _ = withBudget(ctx)
	_, puller := p.client.remotes()
	return puller.Get(ctx, ref)
}

// fetch brings everything desc names, and then desc itself.
func (p *pull) fetch(ctx context.Context, desc v1.Descriptor, depth int) error {
	if depth > images.MaxNesting {
		return fmt.Errorf("%s: indexes are nested more than %d deep", p.ref, images.MaxNesting)
	}
	got, err := p.manifest(ctx, p.ref.repo.Digest(desc.Digest.String()))
	if err != nil {
		return err
	}
	if desc.MediaType.IsIndex() {
		m, err := v1.ParseIndexManifest(bytes.NewReader(got.Manifest))
		if err != nil {
			return fmt.Errorf("%s: reading its index: %w", p.ref, err)
		}
		for _, child := range m.Manifests {
			if err := p.fetch(ctx, child, depth+1); err != nil {
				return err
			}
		}
	} else {
		m, err := v1.ParseManifest(bytes.NewReader(got.Manifest))
		if err != nil {
			return fmt.Errorf("%s: reading its manifest: %w", p.ref, err)
		}
		if err := p.blobs(ctx, append(m.Layers, m.Config)); err != nil {
			return err
		}
	}
	if p.store.Has(desc) {
		return nil
	}
	return p.store.Write(desc, bytes.NewReader(got.Manifest))
}

func (p *pull) blobs(ctx context.Context, all []v1.Descriptor) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, d := range all {
		if p.store.Has(d) {
			continue
		}
		release, err := p.client.slot(gctx)
		if err != nil {
			break // the group knows why
		}
		g.Go(func() error {
			defer release()
			return p.blob(gctx, d)
		})
	}
	return errors.Join(g.Wait(), ctx.Err())
}

// blob brings one blob. One that breaks off is fetched from its start.
func (p *pull) blob(ctx context.Context, d v1.Descriptor) error {
	ctx, budget := withBudget(ctx)
	for {
		err := p.blobOnce(ctx, d)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || ours(err) != nil || !isTransient(err) || !budget.wait(ctx, 0, maxAttempts) {
			return err
		}
	}
}

func (p *pull) blobOnce(ctx context.Context, d v1.Descriptor) error {
	_, puller := p.client.remotes()
	ctx, watch := stall.New(ctx, p.client.stall)
	defer watch.End()
	layer, err := puller.Layer(ctx, p.ref.repo.Digest(d.Digest.String()))
	if err != nil {
		return err
	}
	r, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // it was only read from
	return explainStall(watch, p.store.Write(d, &bodyReader{r: watchBlob(watch, r)}))
}

// A bodyReader makes errors of a broken body tell from errors of the disk.
type bodyReader struct{ r io.Reader }

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	}
	return n, err
}
