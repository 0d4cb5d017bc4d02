package images_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"fnb/images"
	"fnb/images/imagestest"
	"fnb/internal/fixture"
	"fnb/schema"
	"fnb/schema/words"
)

func TestImageStoreNamesImages(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	one := imagestest.Put(t, s, "ghcr.io/acme/hello:0.1.0", imagestest.NewImage(t))
	two := imagestest.Put(t, s, "hello", imagestest.NewIndex(t))

	got, err := s.Resolve("docker.io/library/hello:latest")
	if err != nil || got.Digest != two.Digest {
		t.Errorf("a short name resolves to %v, %v", got.Digest, err)
	}
	got, err = s.Resolve("ghcr.io/acme/hello@" + one.Digest.String())
	if err != nil || got.Digest != one.Digest {
		t.Errorf("by digest it is %v, %v", got.Digest, err)
	}

	three := imagestest.Put(t, s, "ghcr.io/acme/hello:0.1.0", imagestest.NewImage(t))
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

	reopened, err := images.Open(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reopened.Resolve("hello"); err != nil {
		t.Errorf("after opening it again: %v", err)
	}
	if _, err := s.Remove(t.Context(), "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resolve("hello"); !isNotFound(err) {
		t.Errorf("after Remove: %v", err)
	}
	if _, err := s.Remove(t.Context(), "hello"); !isNotFound(err) {
		t.Errorf("removing it twice: %v", err)
	}
}

func isNotFound(err error) bool {
	_, ok := errors.AsType[*images.NotFoundError](err)
	return ok
}

func TestImageStoreIsALayoutOthersRead(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	img := imagestest.Put(t, s, "ghcr.io/acme/one:1", imagestest.NewImage(t))
	idx := imagestest.Put(t, s, "ghcr.io/acme/all:1", imagestest.NewIndex(t))
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
	s := imagestest.NewStore(t)
	img := imagestest.NewImage(t)
	imagestest.Put(t, s, "ghcr.io/acme/hello:0.1.0", img)
	imagestest.Put(t, s, "ghcr.io/acme/other:1", img)
	for _, test := range []struct {
		ref  string
		near []string
	}{
		{"ghcr.io/acme/hello:0.2.0", []string{"ghcr.io/acme/hello:0.1.0"}},
		{"ghcr.io/acme/helo:0.1.0", []string{"ghcr.io/acme/hello:0.1.0"}},
		{"quay.io/elsewhere/unlike:1", nil},
	} {
		_, err := s.Resolve(test.ref)
		e, ok := errors.AsType[*images.NotFoundError](err)
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
	blob := func(s *images.Store, h v1.Hash) string { return filepath.Join(s.Dir(), "blobs", "sha256", h.Hex) }
	layerOf := func(t *testing.T, img v1.Image) v1.Hash {
		m, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		return m.Layers[0].Digest
	}
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, s *images.Store, img v1.Image, d *v1.Descriptor)
		want   string
	}{
		{"a layer is missing", func(t *testing.T, s *images.Store, img v1.Image, _ *v1.Descriptor) {
			fixture.Must(t, os.Remove(blob(s, layerOf(t, img))))
		}, "is missing"},
		{"a layer is cut", func(t *testing.T, s *images.Store, img v1.Image, _ *v1.Descriptor) {
			fixture.Must(t, os.Truncate(blob(s, layerOf(t, img)), 7))
		}, "has 7 bytes instead of"},
		{"the configuration was changed", func(t *testing.T, s *images.Store, img v1.Image, _ *v1.Descriptor) {
			h, err := img.ConfigName()
			fixture.Must(t, err)
			b, err := os.ReadFile(blob(s, h))
			fixture.Must(t, err)
			b[0] ^= 1
			fixture.Must(t, os.WriteFile(blob(s, h), b, 0o600))
		}, "not what the digest says"},
		{"the manifest is missing", func(t *testing.T, s *images.Store, _ v1.Image, d *v1.Descriptor) {
			fixture.Must(t, os.Remove(blob(s, d.Digest)))
		}, "is missing"},
		{"the manifest has another size", func(_ *testing.T, _ *images.Store, _ v1.Image, d *v1.Descriptor) { d.Size++ }, "instead of"},
		{"a layer is a link", func(t *testing.T, s *images.Store, img v1.Image, _ *v1.Descriptor) {
			path := blob(s, layerOf(t, img))
			fixture.Must(t, os.Rename(path, path+"x"))
			fixture.Must(t, os.Symlink(path+"x", path))
		}, "not a regular file"},
		{"the digest leaves the store", func(_ *testing.T, _ *images.Store, _ v1.Image, d *v1.Descriptor) {
			d.Digest = v1.Hash{Algorithm: "sha256", Hex: "../../../etc/passwd"}
		}, "not a SHA-256 digest"},
		{"the media type is unknown", func(_ *testing.T, _ *images.Store, _ v1.Image, d *v1.Descriptor) {
			d.MediaType = "text/plain"
		}, "neither an image nor an index"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := imagestest.NewStore(t)
			img := imagestest.NewImage(t)
			desc := imagestest.WriteBlobs(t, s, img)
			test.damage(t, s, img, &desc)
			err := s.Put(t.Context(), "hello:1", desc)
			if _, ok := errors.AsType[*images.DamagedError](err); !ok || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("Put: %v", err)
			}
			entries, err := s.List()
			if err != nil || len(entries) != 0 {
				t.Errorf("the store has %v, %v", entries, err)
			}
		})
	}
}

func TestPutRefusesReferences(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	desc := imagestest.WriteBlobs(t, s, imagestest.NewImage(t))
	for _, ref := range []string{"", "UPPER/case:1", "a b", "host/x:tag:tag", "x@sha256:12", "x@sha256:" + strings.Repeat("0", 64)} {
		err := s.Put(t.Context(), ref, desc)
		if _, ok := errors.AsType[*schema.ImageError](err); !ok {
			t.Errorf("%q: %v", ref, err)
		}
	}
}

func TestReadingFindsAChangedLayer(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	img := imagestest.NewImage(t)
	imagestest.Put(t, s, "hello:1", img)
	imagestest.Verify(t, s, "hello:1")
	m, err := img.Manifest()
	fixture.Must(t, err)
	path := filepath.Join(s.Dir(), "blobs", "sha256", m.Layers[0].Digest.Hex)
	b, err := os.ReadFile(path)
	fixture.Must(t, err)
	b[len(b)/2] ^= 1
	fixture.Must(t, os.WriteFile(path, b, 0o600))
	err = imagestest.Read(t, s, "hello:1")
	if e, ok := errors.AsType[*images.DamagedError](err); !ok || e.Digest != m.Layers[0].Digest.String() {
		t.Errorf("reading: %v", err)
	}
}

// What is damaged is not found by its inputs.
func TestMade(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	desc := imagestest.Put(t, s, "example.org/a:1", imagestest.NewIndex(t))
	desc.Annotations = map[string]string{words.LabelInput: "sha256:abc"}
	if err := s.Put(t.Context(), "example.org/a:2", desc); err != nil {
		t.Fatal(err)
	}
	found, err := s.Made(t.Context(), "sha256:abc")
	if err != nil || len(found) != 1 || found[0].Reference != "example.org/a:2" {
		t.Errorf("found %v, %v", found, err)
	}
	tr, err := s.Walk(t.Context(), desc)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir(), "blobs", "sha256", tr.Blobs[0].Digest.Hex)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Made(t.Context(), "sha256:abc"); err != nil || len(found) != 0 {
		t.Errorf("found %v, %v", found, err)
	}
}
