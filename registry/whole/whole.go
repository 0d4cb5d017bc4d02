// Package whole reads images from registries, with the manifest and the configuration of each platform
// and without their layers: [Read].
package whole

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/registry"
	"fnb/schema"
)

// maxPlatforms is how many images an index may name.
const maxPlatforms = 64

// An Image is an image as its registry has it.
type Image struct {
	Pinned     string        // repository@digest
	Descriptor v1.Descriptor // of the index, or of the only image
	Raw        []byte        // that index or manifest
	Parts      []Part        // the image of each platform, in the order of the index
	// Others are what the index has beside these, such as what BuildKit says of them.
	Others []v1.Descriptor
}

// A Part is the image of one platform.
type Part struct {
	Descriptor v1.Descriptor // with its platform, which an image without an index has in its configuration
	Manifest   []byte
	Config     []byte
}

// IsIndex reports whether the image is an index of those of its platforms.
func (i *Image) IsIndex() bool { return i.Descriptor.MediaType.IsIndex() }

// Read reads what ref names. A digest in ref decides, whatever its tag names, and all that is read is
// what its digest says. If the registry does not have it, the error is a [*registry.NotFoundError].
func Read(ctx context.Context, c *registry.Client, ref string) (*Image, error) {
	r, err := schema.ParseImageRef(ref)
	if err != nil {
		return nil, err
	}
	d, raw, err := c.Manifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	out := &Image{Pinned: r.Name() + "@" + d.Digest.String(), Descriptor: d, Raw: raw}
	if !d.MediaType.IsIndex() {
		part, err := read(ctx, c, r.Name(), d, raw)
		out.Parts = []Part{part}
		return out, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%s: reading its index: %w", out.Pinned, err)
	}
	if len(index.Manifests) > maxPlatforms {
		return nil, fmt.Errorf("%s: its index names more than %d images", out.Pinned, maxPlatforms)
	}
	for _, d := range index.Manifests {
		if !d.MediaType.IsImage() || !images.ForPlatform(d) {
			out.Others = append(out.Others, d)
			continue
		}
		_, raw, err := c.Manifest(ctx, r.Name()+"@"+d.Digest.String())
		if err != nil {
			return nil, err
		}
		part, err := read(ctx, c, r.Name(), d, raw)
		if err != nil {
			return nil, err
		}
		out.Parts = append(out.Parts, part)
	}
	return out, nil
}

// read reads the configuration that a manifest names.
func read(ctx context.Context, c *registry.Client, repository string, d v1.Descriptor, manifest []byte) (Part, error) {
	p := Part{Descriptor: d, Manifest: manifest}
	m, err := v1.ParseManifest(bytes.NewReader(manifest))
	if err != nil {
		return p, fmt.Errorf("%s@%s: reading its manifest: %w", repository, d.Digest, err)
	}
	if p.Config, err = c.Blob(ctx, repository, m.Config); err != nil {
		return p, err
	}
	if p.Descriptor.Platform == nil {
		var own v1.Platform
		if err := json.Unmarshal(p.Config, &own); err != nil {
			return p, fmt.Errorf("%s@%s: reading its configuration: %w", repository, d.Digest, err)
		}
		p.Descriptor.Platform = &v1.Platform{OS: own.OS, Architecture: own.Architecture, Variant: own.Variant}
	}
	return p, nil
}
