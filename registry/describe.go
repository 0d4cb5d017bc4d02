package registry

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"fnb/images"
	"fnb/schema"
)

// A Description is an image as its registry has it.
type Description struct {
	Reference string                  // repository, and the tag where one was asked for
	Pinned    string                  // repository@digest
	Digest    string                  // of the image, or of its index
	Platforms []schema.PlatformReport // sorted; what is no image of a platform is left out
	Labels    map[string]string       // of the first platform's image
	Config    v1.Config               // of the first platform's image
}

// Describe reads what ref names in its registry, without its layers. A digest in
// ref decides, whatever its tag names. If the registry does not have it, Describe
// returns a [*NotFoundError].
func (c *Client) Describe(ctx context.Context, ref string) (Description, error) {
	r, err := c.parse(ref)
	if err != nil {
		return Description{}, err
	}
	if r.Digest != "" {
		r.Tag = ""
	}
	out, err := c.describe(asking(ctx, r), r)
	if err != nil {
		return Description{}, c.explain(ctx, err, r)
	}
	return out, nil
}

func (c *Client) describe(ctx context.Context, r reference) (Description, error) {
	ctx, _ = withBudget(ctx)
	_, puller := c.remotes()
	top, err := puller.Get(ctx, r.name())
	if err != nil {
		return Description{}, err
	}
	tagged, pinned := r, r
	tagged.Digest, pinned.Tag, pinned.Digest = "", "", top.Digest.String()
	d := Description{Reference: tagged.String(), Pinned: pinned.String(), Digest: top.Digest.String()}
	all := []v1.Descriptor{top.Descriptor}
	if top.MediaType.IsIndex() {
		m, err := v1.ParseIndexManifest(bytes.NewReader(top.Manifest))
		if err != nil {
			return d, fmt.Errorf("%s: reading its index: %w", r, err)
		}
		all = slices.DeleteFunc(m.Manifests, func(d v1.Descriptor) bool {
			return !d.MediaType.IsImage() || !images.ForPlatform(d)
		})
	}
	if len(all) > maxPlatforms {
		return d, fmt.Errorf("%s: its index names more than %d images", r, maxPlatforms)
	}
	for i, one := range all {
		got, err := puller.Get(ctx, r.repo.Digest(one.Digest.String()))
		if err != nil {
			return d, err
		}
		p, config, err := describePlatform(got, one.Platform)
		if err != nil {
			return d, fmt.Errorf("%s: %w", r, err)
		}
		if i == 0 {
			d.Labels, d.Config = config.Labels, config
		}
		d.Platforms = append(d.Platforms, p)
	}
	slices.SortFunc(d.Platforms, func(a, b schema.PlatformReport) int { return cmp.Compare(a.Platform, b.Platform) })
	return d, nil
}

// maxPlatforms is how many images an index may name to be described.
const maxPlatforms = 64

// describePlatform reads one image's manifest and configuration.
func describePlatform(got *remote.Descriptor, platform *v1.Platform) (schema.PlatformReport, v1.Config, error) {
	img, err := got.Image()
	if err != nil {
		return schema.PlatformReport{}, v1.Config{}, err
	}
	m, err := img.Manifest()
	if err != nil {
		return schema.PlatformReport{}, v1.Config{}, fmt.Errorf("reading its manifest: %w", err)
	}
	if m.Config.Size > images.MaxManifest {
		return schema.PlatformReport{}, v1.Config{}, fmt.Errorf("its configuration has %d bytes, more than the %d allowed here", m.Config.Size, images.MaxManifest)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return schema.PlatformReport{}, v1.Config{}, fmt.Errorf("reading its configuration: %w", err)
	}
	if platform == nil {
		platform = &v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
	}
	p, err := schema.ParsePlatform(platformText(*platform))
	if err != nil {
		return schema.PlatformReport{}, v1.Config{}, err
	}
	out := schema.PlatformReport{Platform: p.String(), Digest: got.Digest.String()}
	for _, l := range m.Layers {
		out.Size += l.Size
	}
	return out, config.Config, nil
}

func platformText(p v1.Platform) string {
	if p.Variant != "" {
		return p.OS + "/" + p.Architecture + "/" + p.Variant
	}
	return p.OS + "/" + p.Architecture
}
