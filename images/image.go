package images

import (
	"bytes"
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/internal/plain"
	"fnb/schema"
)

// Image returns the image that desc, which came from [Store.Resolve] or from
// an index, describes. What is read from it is compared with its digests.
func (s *Store) Image(desc v1.Descriptor) (v1.Image, error) {
	if !desc.MediaType.IsImage() {
		return nil, fmt.Errorf("%s is not an image but %q", desc.Digest, plain.Short(string(desc.MediaType)))
	}
	raw, err := s.readSmall(desc)
	if err != nil {
		return nil, err
	}
	return ImageOf(desc, raw, s.Open)
}

// ImageOf returns the image that desc describes and whose manifest is raw, wherever its blobs are: open opens
// one, and compares what is read with its digest.
func ImageOf(desc v1.Descriptor, raw []byte, open func(v1.Descriptor) (io.ReadCloser, error)) (v1.Image, error) {
	return partial.CompressedToImage(&storedImage{desc: desc, raw: raw, open: open})
}

// Index returns the multi-platform image that desc describes.
func (s *Store) Index(desc v1.Descriptor) (v1.ImageIndex, error) {
	if !desc.MediaType.IsIndex() {
		return nil, fmt.Errorf("%s is not an index but %q", desc.Digest, plain.Short(string(desc.MediaType)))
	}
	raw, err := s.readSmall(desc)
	if err != nil {
		return nil, err
	}
	return &storedIndex{store: s, desc: desc, raw: raw}, nil
}

// Manifest returns the bytes of the manifest or index that desc describes.
func (s *Store) Manifest(desc v1.Descriptor) ([]byte, error) { return s.readSmall(desc) }

// storedImage is what partial.CompressedToImage needs of an image.
type storedImage struct {
	desc v1.Descriptor
	raw  []byte
	open func(v1.Descriptor) (io.ReadCloser, error)
}

// RawManifest implements [partial.CompressedImageCore].
func (i *storedImage) RawManifest() ([]byte, error) { return i.raw, nil }

// MediaType implements [partial.CompressedImageCore].
func (i *storedImage) MediaType() (types.MediaType, error) { return i.desc.MediaType, nil }

// Descriptor keeps the annotations that the image was found with.
func (i *storedImage) Descriptor() (*v1.Descriptor, error) { return &i.desc, nil }

// Manifest returns the parsed manifest.
func (i *storedImage) Manifest() (*v1.Manifest, error) {
	return v1.ParseManifest(bytes.NewReader(i.raw))
}

// RawConfigFile implements [partial.CompressedImageCore].
func (i *storedImage) RawConfigFile() ([]byte, error) {
	m, err := i.Manifest()
	if err != nil {
		return nil, err
	}
	return Read(m.Config, i.open)
}

// LayerByDigest implements [partial.CompressedImageCore].
func (i *storedImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	m, err := i.Manifest()
	if err != nil {
		return nil, err
	}
	for _, d := range append(m.Layers, m.Config) {
		if d.Digest == h {
			return &Blob{desc: d, open: i.open}, nil
		}
	}
	return nil, fmt.Errorf("%s has no layer %s", i.desc.Digest, h)
}

// Blob returns a blob of the store as go-containerregistry wants a layer.
func (s *Store) Blob(d v1.Descriptor) *Blob { return &Blob{desc: d, open: s.Open} }

// Blob is what partial.CompressedToLayer needs of a layer.
type Blob struct {
	desc v1.Descriptor
	open func(v1.Descriptor) (io.ReadCloser, error)
}

// Digest implements [partial.CompressedLayer].
func (b *Blob) Digest() (v1.Hash, error) { return b.desc.Digest, nil }

// Size implements [partial.CompressedLayer].
func (b *Blob) Size() (int64, error) { return b.desc.Size, nil }

// MediaType implements [partial.CompressedLayer].
func (b *Blob) MediaType() (types.MediaType, error) { return b.desc.MediaType, nil }

// Compressed implements [partial.CompressedLayer].
func (b *Blob) Compressed() (io.ReadCloser, error) { return b.open(b.desc) }

// Descriptor keeps the annotations of the manifest's entry.
func (b *Blob) Descriptor() (*v1.Descriptor, error) { return &b.desc, nil }

type storedIndex struct {
	store *Store
	desc  v1.Descriptor
	raw   []byte
}

// MediaType implements [v1.ImageIndex].
func (i *storedIndex) MediaType() (types.MediaType, error) { return i.desc.MediaType, nil }

// Digest implements [v1.ImageIndex].
func (i *storedIndex) Digest() (v1.Hash, error) { return i.desc.Digest, nil }

// Size implements [v1.ImageIndex].
func (i *storedIndex) Size() (int64, error) { return i.desc.Size, nil }

// RawManifest implements [v1.ImageIndex].
func (i *storedIndex) RawManifest() ([]byte, error) { return i.raw, nil }

// IndexManifest implements [v1.ImageIndex].
func (i *storedIndex) IndexManifest() (*v1.IndexManifest, error) {
	return v1.ParseIndexManifest(bytes.NewReader(i.raw))
}

func (i *storedIndex) child(h v1.Hash) (v1.Descriptor, error) {
	m, err := i.IndexManifest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, d := range m.Manifests {
		if d.Digest == h {
			return d, nil
		}
	}
	return v1.Descriptor{}, fmt.Errorf("%s has no manifest %s", i.desc.Digest, h)
}

// Image implements [v1.ImageIndex].
func (i *storedIndex) Image(h v1.Hash) (v1.Image, error) {
	d, err := i.child(h)
	if err != nil {
		return nil, err
	}
	return i.store.Image(d)
}

// ImageIndex implements [v1.ImageIndex].
func (i *storedIndex) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	d, err := i.child(h)
	if err != nil {
		return nil, err
	}
	return i.store.Index(d)
}

// Platforms returns the descriptors of the images below desc that are for a
// platform; attestations are left out. An image by itself is returned as it is,
// with the platform that its configuration names.
func (s *Store) Platforms(ctx context.Context, desc v1.Descriptor) ([]v1.Descriptor, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if desc.MediaType.IsImage() {
		img, err := s.Image(desc)
		if err != nil {
			return nil, err
		}
		config, err := img.ConfigFile()
		if err != nil {
			return nil, &DamagedError{Digest: desc.Digest.String(), Reason: "its configuration: " + plain.Short(err.Error())}
		}
		desc.Platform = config.Platform()
		return []v1.Descriptor{desc}, nil
	}
	index, err := s.Index(desc)
	if err != nil {
		return nil, err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, &DamagedError{Digest: desc.Digest.String(), Reason: plain.Short(err.Error())}
	}
	var all []v1.Descriptor
	for _, d := range m.Manifests {
		if d.MediaType.IsImage() && ForPlatform(d) {
			all = append(all, d)
		}
	}
	return all, nil
}

// ForPlatform reports whether an entry of an index is an image for a platform:
// attestations are for none.
func ForPlatform(d v1.Descriptor) bool { return d.Platform != nil && d.Platform.OS != "unknown" }

// PlatformOf is the platform of an entry of an index; the zero value where it has none.
func PlatformOf(d v1.Descriptor) schema.Platform {
	if d.Platform == nil {
		return schema.Platform{}
	}
	return schema.Platform{OS: d.Platform.OS, Architecture: d.Platform.Architecture, Variant: d.Platform.Variant}
}
