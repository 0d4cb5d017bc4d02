// Package imagestest makes images, and stores of them, for tests: begin with [NewStore]
// and [Put].
package imagestest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/images"
)

// NewStore returns an image store that is the test's own.
func NewStore(tb testing.TB) *images.Store {
	tb.Helper()
	s, err := images.Open(filepath.Join(tb.TempDir(), "images"))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// NewImage returns an image of a few random layers for linux/amd64, as BuildKit
// would make it: with OCI media types.
func NewImage(tb testing.TB, layers ...v1.Layer) v1.Image {
	tb.Helper()
	return NewImageFor(tb, v1.Platform{OS: "linux", Architecture: "amd64"}, layers...)
}

// NewImageFor returns an image as [NewImage] does, for a platform.
func NewImageFor(tb testing.TB, p v1.Platform, layers ...v1.Layer) v1.Image {
	tb.Helper()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	own, err := random.Layer(2000, types.OCILayer)
	if err != nil {
		tb.Fatal(err)
	}
	img, err = mutate.AppendLayers(img, append(slices.Clone(layers), own)...)
	if err != nil {
		tb.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		tb.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = p.OS, p.Architecture
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		tb.Fatal(err)
	}
	return img
}

// NewLayer returns a layer with a file of that many random bytes.
func NewLayer(tb testing.TB, size int64) v1.Layer {
	tb.Helper()
	l, err := random.Layer(size, types.OCILayer)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// NewIndex returns a multi-platform image with an attestation.
func NewIndex(tb testing.TB) v1.ImageIndex {
	tb.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}, {OS: "unknown", Architecture: "unknown"}} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        NewImageFor(tb, p),
			Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Platform: &p},
		})
	}
	return index
}

// WriteBlobs writes an image or index into a store without naming it.
func WriteBlobs(tb testing.TB, s *images.Store, a mutate.Appendable) v1.Descriptor {
	tb.Helper()
	dir := tb.TempDir()
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		tb.Fatal(err)
	}
	switch a := a.(type) {
	case v1.Image:
		err = p.AppendImage(a)
	case v1.ImageIndex:
		err = p.AppendIndex(a)
	}
	if err != nil {
		tb.Fatal(err)
	}
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, b := range blobs {
		content, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", b.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		d := v1.Descriptor{Digest: v1.Hash{Algorithm: "sha256", Hex: b.Name()}, Size: int64(len(content))}
		if err := s.Write(d, bytes.NewReader(content)); err != nil {
			tb.Fatal(err)
		}
	}
	mt, err := a.MediaType()
	if err != nil {
		tb.Fatal(err)
	}
	digest, err := a.Digest()
	if err != nil {
		tb.Fatal(err)
	}
	size, err := a.Size()
	if err != nil {
		tb.Fatal(err)
	}
	return v1.Descriptor{MediaType: mt, Digest: digest, Size: size}
}

// Put writes an image or index into a store, under a reference.
func Put(tb testing.TB, s *images.Store, ref string, a mutate.Appendable) v1.Descriptor {
	tb.Helper()
	desc := WriteBlobs(tb, s, a)
	if err := s.Put(tb.Context(), ref, desc); err != nil {
		tb.Fatal(err)
	}
	return desc
}

// Verify reads everything that ref names and compares it with the digests.
func Verify(tb testing.TB, s *images.Store, ref string) {
	tb.Helper()
	if err := Read(tb, s, ref); err != nil {
		tb.Fatal(err)
	}
}

// Read reads all of what a reference names, and returns the first thing that is wrong with it.
func Read(tb testing.TB, s *images.Store, ref string) error {
	tb.Helper()
	desc, err := s.Resolve(ref)
	if err != nil {
		tb.Fatal(err)
	}
	all, err := s.Walk(tb.Context(), desc)
	if err != nil {
		tb.Fatal(err)
	}
	for _, d := range all.Blobs {
		r, err := s.Blob(d).Compressed()
		if err != nil {
			tb.Fatal(err)
		}
		_, err = io.Copy(io.Discard, r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}
