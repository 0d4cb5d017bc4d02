package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/schema"
)

// Contents are an image as its registry has it, of which only that is fetched that is looked at.
type Contents struct {
	Reference  string // repository@digest, of the image of the platform
	Repository string
	Descriptor v1.Descriptor // of the image of the platform
	Image      v1.Image      // its layers are fetched when they are read, and compared with their digests

	client     *Client
	ref        reference
	statements v1.Hash // the manifest with what BuildKit says of the image, in its index; zero is none
}

// Open returns what ref names in its registry, for a platform; the zero value is the only one that
// the image is for, and otherwise a [*PlatformError]. A digest in ref decides, whatever its tag names.
func (c *Client) Open(ctx context.Context, ref string, platform schema.Platform) (*Contents, error) {
	r, err := c.parse(ref)
	if err != nil {
		return nil, err
	}
	if r.Digest != "" {
		r.Tag = ""
	}
	out, err := c.open(asking(ctx, r), r, platform)
	if err != nil {
		return nil, c.explain(ctx, err, r)
	}
	return out, nil
}

func (c *Client) open(ctx context.Context, r reference, platform schema.Platform) (*Contents, error) {
	ctx, _ = withBudget(ctx)
	_, puller := c.remotes()
	got, err := puller.Get(ctx, r.name())
	if err != nil {
		return nil, err
	}
	out := &Contents{client: c, ref: r, Repository: r.Name()}
	if got.MediaType.IsIndex() {
		m, err := v1.ParseIndexManifest(bytes.NewReader(got.Manifest))
		if err != nil {
			return nil, fmt.Errorf("%s: reading its index: %w", r, err)
		}
		var all []v1.Descriptor
		for _, d := range m.Manifests {
			if d.MediaType.IsImage() && images.ForPlatform(d) {
				all = append(all, d)
			}
		}
		one, err := choose(r.String(), all, platform)
		if err != nil {
			return nil, err
		}
		for _, d := range m.Manifests {
			if d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" && d.Annotations["vnd.docker.reference.digest"] == one.Digest.String() {
				out.statements = d.Digest
			}
		}
		if got, err = puller.Get(ctx, r.repo.Digest(one.Digest.String())); err != nil {
			return nil, err
		}
	}
	if out.Image, err = got.Image(); err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	out.Descriptor = v1.Descriptor{MediaType: got.MediaType, Size: got.Size, Digest: got.Digest}
	out.Reference = r.repo.Digest(got.Digest.String()).String()
	return out, nil
}

// Images lists the images below desc, which ref names: those for a platform of an index, or the one that it is.
func (c *Client) Images(ctx context.Context, ref string, desc v1.Descriptor) ([]v1.Descriptor, error) {
	if !desc.MediaType.IsIndex() {
		return []v1.Descriptor{desc}, nil
	}
	raw, err := images.Read(desc, func(d v1.Descriptor) (io.ReadCloser, error) { return c.OpenBlob(ctx, ref, d) })
	if err != nil {
		return nil, err
	}
	m, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%s: reading its index: %w", ref, plain.Error(err))
	}
	return slices.DeleteFunc(m.Manifests, func(d v1.Descriptor) bool { return !d.MediaType.IsImage() || !images.ForPlatform(d) }), nil
}

// OpenBlob opens a blob, a manifest or an index of ref's repository. What is read is compared with its digest.
func (c *Client) OpenBlob(ctx context.Context, ref string, d v1.Descriptor) (io.ReadCloser, error) {
	r, err := c.parse(ref)
	if err != nil {
		return nil, err
	}
	from := &elsewhere{client: c, ref: r}
	if d.MediaType.IsImage() || d.MediaType.IsIndex() {
		got, err := from.get(ctx, r.repo.Digest(d.Digest.String()))
		if err != nil {
			return nil, err
		}
		return io.NopCloser(bytes.NewReader(got.Manifest)), nil
	}
	return from.open(ctx, d)
}

// inToto is the media type of what BuildKit says of an image.
const inToto = "application/vnd.in-toto+json"

// Statement reads what BuildKit has put beside the image into its index, by the type of the predicate: a
// statement of in-toto. nil is none. One of more than most bytes is an error.
func (c *Contents) Statement(ctx context.Context, predicate string, most int64) ([]byte, error) {
	d, err := c.statement(ctx, predicate)
	if err != nil || d == nil {
		return nil, err
	}
	if d.Size > most {
		return nil, fmt.Errorf("%s: what it says of itself has %s, more than the %s allowed", c.Reference, plain.Size(d.Size), plain.Size(most))
	}
	_, puller := c.client.remotes()
	layer, err := puller.Layer(ctx, c.ref.repo.Digest(d.Digest.String()))
	if err != nil {
		return nil, c.client.explain(ctx, err, c.ref)
	}
	r, err := layer.Compressed() // which checks the digest
	if err != nil {
		return nil, c.client.explain(ctx, err, c.ref)
	}
	defer func() { _ = r.Close() }() // it was only read from
	return io.ReadAll(io.LimitReader(r, d.Size))
}

// Says returns the digest of the manifest, in the image's repository, in which BuildKit says something of a type of the
// image. "" is that it says nothing of the kind.
func (c *Contents) Says(ctx context.Context, predicate string) (string, error) {
	d, err := c.statement(ctx, predicate)
	if err != nil || d == nil {
		return "", err
	}
	return c.statements.String(), nil
}

func (c *Contents) statement(ctx context.Context, predicate string) (*v1.Descriptor, error) {
	if c.statements == (v1.Hash{}) {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	ctx, _ = withBudget(asking(ctx, c.ref))
	_, puller := c.client.remotes()
	got, err := puller.Get(ctx, c.ref.repo.Digest(c.statements.String()))
	if err != nil {
		return nil, c.client.explain(ctx, err, c.ref)
	}
	var m v1.Manifest
	if err := json.Unmarshal(got.Manifest, &m); err != nil {
		return nil, fmt.Errorf("%s: reading what it says of itself: %w", c.Reference, plain.Error(err))
	}
	for _, l := range m.Layers {
		if string(l.MediaType) == inToto && l.Annotations["in-toto.io/predicate-type"] == predicate {
			return &l, nil
		}
	}
	return nil, nil //nolint:nilnil // the same
}
