package registry

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fnb/schema"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
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

func TestPruneKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	shared := newLayer(t, 5000)
	put(t, s, "a:1", newImage(t, shared))
	put(t, s, "b:1", newImage(t, shared))
	put(t, s, "c:1", newIndex(t))
	must(t, os.WriteFile(filepath.Join(s.Dir(), temporary+"left"), []byte("x"), 0o600))
	must(t, os.MkdirAll(filepath.Join(s.Dir(), "ingest", "left"), 0o700))
	must(t, s.Remove(t.Context(), "a:1"))

	young, err := s.Prune(t.Context())
	if err != nil || young.Blobs != 0 {
		t.Errorf("young blobs: %+v, %v", young, err)
	}
	old, err := s.prune(t.Context(), time.Now().Add(time.Minute))
	if err != nil || old.Blobs != 3 || old.Bytes == 0 {
		t.Errorf("a's manifest, configuration and own layer should go: %+v, %v", old, err)
	}
	must(t, s.Verify(t.Context(), "b:1"))
	must(t, s.Verify(t.Context(), "c:1"))
	for _, left := range []string{temporary + "left", "ingest/left"} {
		if _, err := os.Stat(filepath.Join(s.Dir(), left)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", left, err)
		}
	}
}

func TestPruneWaitsForHolders(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	release, err := s.Hold(t.Context())
	must(t, err)
	second, err := s.Hold(t.Context())
	must(t, err)
	second()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Prune(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Prune did not wait: %v", err)
	}
	release()
	if _, err := s.Prune(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPruneDeletesNothingWhenAnImageIsDamaged(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	desc := put(t, s, "a:1", newImage(t))
	writeBlobs(t, s, newImage(t))
	must(t, os.Remove(filepath.Join(s.Dir(), "blobs", "sha256", desc.Digest.Hex)))
	before, err := os.ReadDir(filepath.Join(s.Dir(), "blobs", "sha256"))
	must(t, err)
	if _, err := s.prune(t.Context(), time.Now().Add(time.Minute)); err == nil {
		t.Error("no error")
	}
	after, err := os.ReadDir(filepath.Join(s.Dir(), "blobs", "sha256"))
	must(t, err)
	if len(before) != len(after) {
		t.Errorf("%d blobs became %d", len(before), len(after))
	}
}

func TestManyGoroutinesPut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	desc := writeBlobs(t, s, newImage(t))
	var wg sync.WaitGroup
	const workers, each = 8, 10
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				if err := s.Put(t.Context(), fmt.Sprintf("w%d:%d", w, i), desc); err != nil {
					t.Error(err)
				}
				if _, err := s.List(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	entries, err := s.List()
	if err != nil || len(entries) != workers*each {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// TestPutProcess is not a test of its own: it is the program that the tests
// below start several times.
func TestPutProcess(t *testing.T) {
	dir, name := os.Getenv("FNB_TEST_STORE"), os.Getenv("FNB_TEST_NAME")
	if dir == "" {
		t.Skip("run by other tests")
	}
	s, err := OpenImageStore(dir)
	must(t, err)
	var desc v1.Descriptor
	must(t, json.Unmarshal([]byte(os.Getenv("FNB_TEST_DESCRIPTOR")), &desc))
	count, err := strconv.Atoi(os.Getenv("FNB_TEST_COUNT"))
	must(t, err)
	for i := range count {
		must(t, s.Put(t.Context(), fmt.Sprintf("%s:%d", name, i), desc))
	}
}

func putProcess(t *testing.T, s *ImageStore, desc v1.Descriptor, name string, count int) *exec.Cmd {
	t.Helper()
	b, err := json.Marshal(desc)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPutProcess$")
	cmd.Env = append(os.Environ(), "FNB_TEST_STORE="+s.Dir(), "FNB_TEST_NAME="+name,
		"FNB_TEST_DESCRIPTOR="+string(b), "FNB_TEST_COUNT="+strconv.Itoa(count))
	return cmd
}

func TestSeveralProcessesPut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	desc := writeBlobs(t, s, newImage(t))
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() {
			if out, err := putProcess(t, s, desc, fmt.Sprintf("p%d", p), 15).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	entries, err := s.List()
	if err != nil || len(entries) != 60 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestKilledProcessLeavesAWholeStore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	desc := writeBlobs(t, s, newImage(t))
	for round := range 5 {
		cmd := putProcess(t, s, desc, fmt.Sprintf("r%d", round), 1_000_000)
		must(t, cmd.Start())
		time.Sleep(time.Duration(60+40*round) * time.Millisecond)
		must(t, cmd.Process.Kill())
		// It was killed; how it ended is known.
		_ = cmd.Wait()
		if err := s.Put(t.Context(), fmt.Sprintf("after%d", round), desc); err != nil {
			t.Fatal(err)
		}
		entries, err := s.List()
		if err != nil || len(entries) <= round {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
	}
	if _, err := s.prune(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(s.Dir(), temporary+"*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWriteOCI(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	desc := put(t, s, "ghcr.io/acme/hello:0.1.0", newIndex(t))
	put(t, s, "ghcr.io/acme/other:1", newImage(t))
	var first, second bytes.Buffer
	must(t, s.WriteOCI(t.Context(), "ghcr.io/acme/hello:0.1.0", &first))
	must(t, s.WriteOCI(t.Context(), "ghcr.io/acme/hello:0.1.0", &second))
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives of one image differ")
	}
	dir := t.TempDir()
	untar(t, &first, dir)
	p, err := layout.FromPath(dir)
	must(t, err)
	root, err := p.ImageIndex()
	must(t, err)
	m, err := root.IndexManifest()
	must(t, err)
	if len(m.Manifests) != 1 || m.Manifests[0].Digest != desc.Digest || m.Manifests[0].Annotations[refName] != "0.1.0" {
		t.Errorf("index.json: %+v", m.Manifests)
	}
	idx, err := root.ImageIndex(desc.Digest)
	must(t, err)
	must(t, validate.Index(idx))
}

func untar(t *testing.T, r io.Reader, dir string) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		must(t, err)
		if h.Typeflag == tar.TypeDir {
			must(t, root.MkdirAll(strings.TrimSuffix(h.Name, "/"), 0o755))
			continue
		}
		b, err := io.ReadAll(tr)
		must(t, err)
		must(t, root.WriteFile(h.Name, b, 0o600))
	}
}

func TestWriteDocker(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	put(t, s, "ghcr.io/acme/one:1", newImage(t))
	put(t, s, "ghcr.io/acme/all:1", newIndex(t))
	file := filepath.Join(t.TempDir(), "image.tar")
	for _, test := range []struct {
		ref      string
		platform schema.Platform
		ok       bool
	}{
		{"ghcr.io/acme/one:1", schema.Platform{}, true},
		{"ghcr.io/acme/one:1", schema.Platform{OS: "linux", Architecture: "s390x"}, false},
		{"ghcr.io/acme/all:1", schema.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, true},
		{"ghcr.io/acme/all:1", schema.Platform{}, false},
	} {
		f, err := os.Create(file)
		must(t, err)
		err = s.WriteDocker(t.Context(), test.ref, test.platform, f)
		must(t, f.Close())
		if !test.ok {
			if _, ok := errors.AsType[*PlatformError](err); !ok {
				t.Errorf("%s for %q: %v", test.ref, test.platform, err)
			}
			continue
		}
		must(t, err)
		img, err := tarball.ImageFromPath(file, nil)
		must(t, err)
		must(t, validate.Image(img))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WriteDocker(ctx, "ghcr.io/acme/one:1", schema.Platform{}, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
