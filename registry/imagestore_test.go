package registry

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func newStore(tb testing.TB) *ImageStore {
	tb.Helper()
	s, err := OpenImageStore(filepath.Join(tb.TempDir(), "images"))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// newImage returns an image of a few random layers for linux/amd64, as BuildKit
// would make it: with OCI media types.
func newImage(tb testing.TB, layers ...v1.Layer) v1.Image {
	tb.Helper()
	return newImageFor(tb, v1.Platform{OS: "linux", Architecture: "amd64"}, layers...)
}

func newImageFor(tb testing.TB, p v1.Platform, layers ...v1.Layer) v1.Image {
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

func newLayer(tb testing.TB, size int64) v1.Layer {
	tb.Helper()
	l, err := random.Layer(size, types.OCILayer)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// newIndex returns a multi-platform image with an attestation.
func newIndex(tb testing.TB) v1.ImageIndex {
	tb.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}, {OS: "unknown", Architecture: "unknown"}} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        newImageFor(tb, p),
			Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Platform: &p},
		})
	}
	return index
}

// writeBlobs writes an image or index into a store without naming it.
func writeBlobs(tb testing.TB, s *ImageStore, a mutate.Appendable) v1.Descriptor {
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
		if err := s.writeBlob(d, bytes.NewReader(content)); err != nil {
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

func put(tb testing.TB, s *ImageStore, ref string, a mutate.Appendable) v1.Descriptor {
	tb.Helper()
	desc := writeBlobs(tb, s, a)
	if err := s.Put(tb.Context(), ref, desc); err != nil {
		tb.Fatal(err)
	}
	return desc
}

func TestImageStoreNamesImages(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	one := put(t, s, "ghcr.io/acme/hello:0.1.0", newImage(t))
	two := put(t, s, "hello", newIndex(t))

	got, err := s.Resolve("docker.io/library/hello:latest")
	if err != nil || got.Digest != two.Digest {
		t.Errorf("a short name resolves to %v, %v", got.Digest, err)
	}
	got, err = s.Resolve("ghcr.io/acme/hello@" + one.Digest.String())
	if err != nil || got.Digest != one.Digest {
		t.Errorf("by digest it is %v, %v", got.Digest, err)
	}

	three := put(t, s, "ghcr.io/acme/hello:0.1.0", newImage(t))
	entries, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Reference+" "+e.Descriptor.Digest.String())
	}
	want := []string{
		"docker.io/library/hello:latest " + two.Digest.String(),
		"ghcr.io/acme/hello:0.1.0 " + three.Digest.String(),
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("a second Put replaces the first (-want +got):\n%s", diff)
	}

	reopened, err := OpenImageStore(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reopened.Resolve("hello"); err != nil {
		t.Errorf("after opening it again: %v", err)
	}
	if err := s.Remove(t.Context(), "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resolve("hello"); !isNotFound(err) {
		t.Errorf("after Remove: %v", err)
	}
	if err := s.Remove(t.Context(), "hello"); !isNotFound(err) {
		t.Errorf("removing it twice: %v", err)
	}
}

func isNotFound(err error) bool {
	_, ok := errors.AsType[*NotFoundError](err)
	return ok
}

func TestImageStoreIsALayoutOthersRead(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	img := put(t, s, "ghcr.io/acme/one:1", newImage(t))
	idx := put(t, s, "ghcr.io/acme/all:1", newIndex(t))
	p, err := layout.FromPath(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	root, err := p.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := root.Image(img.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(theirs); err != nil {
		t.Error(err)
	}
	ours, err := s.Index(idx)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(ours); err != nil {
		t.Error(err)
	}
	one, err := s.Image(img)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(one); err != nil {
		t.Error(err)
	}
	for _, path := range []string{s.Dir(), filepath.Join(s.Dir(), "blobs")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
}

func TestResolveSuggests(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	img := newImage(t)
	put(t, s, "ghcr.io/acme/hello:0.1.0", img)
	put(t, s, "ghcr.io/acme/other:1", img)
	for _, test := range []struct {
		ref  string
		near []string
	}{
		{"ghcr.io/acme/hello:0.2.0", []string{"ghcr.io/acme/hello:0.1.0"}},
		{"ghcr.io/acme/helo:0.1.0", []string{"ghcr.io/acme/hello:0.1.0"}},
		{"quay.io/elsewhere/unlike:1", nil},
	} {
		_, err := s.Resolve(test.ref)
		e, ok := errors.AsType[*NotFoundError](err)
		if !ok {
			t.Errorf("%s: %v", test.ref, err)
			continue
		}
		if diff := cmp.Diff(test.near, e.Near); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.ref, diff)
		}
	}
}

func TestPutRefusesWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	blob := func(s *ImageStore, h v1.Hash) string { return filepath.Join(s.Dir(), "blobs", "sha256", h.Hex) }
	layerOf := func(t *testing.T, img v1.Image) v1.Hash {
		m, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		return m.Layers[0].Digest
	}
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, s *ImageStore, img v1.Image, d *v1.Descriptor)
		want   string
	}{
		{"a layer is missing", func(t *testing.T, s *ImageStore, img v1.Image, _ *v1.Descriptor) {
			must(t, os.Remove(blob(s, layerOf(t, img))))
		}, "is missing"},
		{"a layer is cut", func(t *testing.T, s *ImageStore, img v1.Image, _ *v1.Descriptor) {
			must(t, os.Truncate(blob(s, layerOf(t, img)), 7))
		}, "has 7 bytes instead of"},
		{"the configuration was changed", func(t *testing.T, s *ImageStore, img v1.Image, _ *v1.Descriptor) {
			h, err := img.ConfigName()
			must(t, err)
			b, err := os.ReadFile(blob(s, h))
			must(t, err)
			b[0] ^= 1
			must(t, os.WriteFile(blob(s, h), b, 0o600))
		}, "not what the digest says"},
		{"the manifest is missing", func(t *testing.T, s *ImageStore, _ v1.Image, d *v1.Descriptor) {
			must(t, os.Remove(blob(s, d.Digest)))
		}, "is missing"},
		{"the manifest has another size", func(_ *testing.T, _ *ImageStore, _ v1.Image, d *v1.Descriptor) { d.Size++ }, "instead of"},
		{"a layer is a link", func(t *testing.T, s *ImageStore, img v1.Image, _ *v1.Descriptor) {
			path := blob(s, layerOf(t, img))
			must(t, os.Rename(path, path+"x"))
			must(t, os.Symlink(path+"x", path))
		}, "not a regular file"},
		{"the digest leaves the store", func(_ *testing.T, _ *ImageStore, _ v1.Image, d *v1.Descriptor) {
			d.Digest = v1.Hash{Algorithm: "sha256", Hex: "../../../etc/passwd"}
		}, "not a SHA-256 digest"},
		{"the media type is unknown", func(_ *testing.T, _ *ImageStore, _ v1.Image, d *v1.Descriptor) {
			d.MediaType = "text/plain"
		}, "neither an image nor an index"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			img := newImage(t)
			desc := writeBlobs(t, s, img)
			test.damage(t, s, img, &desc)
			err := s.Put(t.Context(), "hello:1", desc)
			if _, ok := errors.AsType[*DamagedError](err); !ok || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("Put: %v", err)
			}
			entries, err := s.List()
			if err != nil || len(entries) != 0 {
				t.Errorf("the store has %v, %v", entries, err)
			}
		})
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestPutRefusesReferences(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	desc := writeBlobs(t, s, newImage(t))
	for _, ref := range []string{"", "UPPER/case:1", "a b", "host/x:tag:tag", "x@sha256:12", "x@sha256:" + strings.Repeat("0", 64)} {
		err := s.Put(t.Context(), ref, desc)
		if _, ok := errors.AsType[*ReferenceError](err); !ok {
			t.Errorf("%q: %v", ref, err)
		}
	}
}

func TestVerifyFindsAChangedLayer(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	img := newImage(t)
	put(t, s, "hello:1", img)
	must(t, s.Verify(t.Context(), "hello:1"))
	m, err := img.Manifest()
	must(t, err)
	path := filepath.Join(s.Dir(), "blobs", "sha256", m.Layers[0].Digest.Hex)
	b, err := os.ReadFile(path)
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
	err = s.Verify(t.Context(), "hello:1")
	if e, ok := errors.AsType[*DamagedError](err); !ok || e.Digest != m.Layers[0].Digest.String() {
		t.Errorf("Verify: %v", err)
	}
}
