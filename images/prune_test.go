package images_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/images/imagestest"
	"fnb/internal/disk"
	"fnb/internal/fixture"
)

// all keeps every image.
func all(images.Entry) bool { return true }

func TestPruneKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	shared := imagestest.NewLayer(t, 5000)
	imagestest.Put(t, s, "a:1", imagestest.NewImage(t, shared))
	imagestest.Put(t, s, "b:1", imagestest.NewImage(t, shared))
	imagestest.Put(t, s, "c:1", imagestest.NewIndex(t))
	fixture.Must(t, os.WriteFile(filepath.Join(s.Dir(), disk.Temporary+"left"), []byte("x"), 0o600))
	fixture.Must(t, os.MkdirAll(filepath.Join(s.Dir(), "ingest", "left"), 0o700))
	imagestest.WriteBlobs(t, s, imagestest.NewImage(t, shared))

	young, err := s.Prune(t.Context(), images.PruneOptions{Keep: all})
	if err != nil || young.Blobs != 0 {
		t.Errorf("young blobs: %+v, %v", young, err)
	}
	old, err := s.Prune(t.Context(), images.PruneOptions{Keep: all, Before: time.Now().Add(time.Minute)})
	if err != nil || old.Blobs != 3 || old.Bytes == 0 {
		t.Errorf("the manifest, configuration and own layer of what has no name should go: %+v, %v", old, err)
	}
	imagestest.Verify(t, s, "a:1")
	imagestest.Verify(t, s, "b:1")
	imagestest.Verify(t, s, "c:1")
	for _, left := range []string{disk.Temporary + "left", "ingest/left"} {
		if _, err := os.Stat(filepath.Join(s.Dir(), left)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", left, err)
		}
	}
}

func TestPruneWaitsForHolders(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	release, err := s.Hold(t.Context())
	fixture.Must(t, err)
	second, err := s.Hold(t.Context())
	fixture.Must(t, err)
	second()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Prune(ctx, images.PruneOptions{Keep: all}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Prune did not wait: %v", err)
	}
	release()
	if _, err := s.Prune(t.Context(), images.PruneOptions{Keep: all}); err != nil {
		t.Error(err)
	}
}

func TestPruneDeletesNothingWhenAnImageIsDamaged(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	desc := imagestest.Put(t, s, "a:1", imagestest.NewImage(t))
	imagestest.WriteBlobs(t, s, imagestest.NewImage(t))
	fixture.Must(t, os.Remove(filepath.Join(s.Dir(), "blobs", "sha256", desc.Digest.Hex)))
	before, err := os.ReadDir(filepath.Join(s.Dir(), "blobs", "sha256"))
	fixture.Must(t, err)
	if _, err := s.Prune(t.Context(), images.PruneOptions{Keep: all, Before: time.Now().Add(time.Minute)}); err == nil {
		t.Error("no error")
	}
	after, err := os.ReadDir(filepath.Join(s.Dir(), "blobs", "sha256"))
	fixture.Must(t, err)
	if len(before) != len(after) {
		t.Errorf("%d blobs became %d", len(before), len(after))
	}
}

// TestPruneRemovesImages: what removed images alone needed is deleted at once, however
// young it is.
func TestPruneRemovesImages(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	shared := imagestest.NewLayer(t, 5000)
	imagestest.Put(t, s, "a:1", imagestest.NewImage(t, shared))
	imagestest.Put(t, s, "b:1", imagestest.NewImage(t, shared))
	imagestest.WriteBlobs(t, s, imagestest.NewImage(t))
	out, err := s.Prune(t.Context(), images.PruneOptions{Keep: func(e images.Entry) bool { return strings.HasSuffix(e.Reference, "b:1") }})
	if err != nil || !slices.Equal(out.References, []string{"docker.io/library/a:1"}) || out.Blobs != 3 || out.Bytes == 0 {
		t.Errorf("removed %+v, %v", out, err)
	}
	imagestest.Verify(t, s, "b:1")
	if out, err = s.Prune(t.Context(), images.PruneOptions{}); err != nil || len(out.References) != 1 || out.Blobs != 4 {
		t.Errorf("removed %+v, %v", out, err)
	}
	left, err := os.ReadDir(filepath.Join(s.Dir(), "blobs", "sha256"))
	if err != nil || len(left) != 3 {
		t.Errorf("%d blobs are left, %v, want those of the image that has no name yet", len(left), err)
	}
}

// TestPruneToSize: the oldest go first, and no more than need to.
func TestPruneToSize(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	for _, ref := range []string{"new:1", "old:1", "mid:1"} {
		imagestest.Put(t, s, ref, imagestest.NewImage(t, imagestest.NewLayer(t, 50_000)))
	}
	age(t, s, map[string]string{"old:1": "2020-01-01T00:00:00Z", "mid:1": "2021-01-01T00:00:00Z"})
	for _, want := range [][]string{nil, {"docker.io/library/old:1"}, {"docker.io/library/mid:1"}} {
		limit := int64(170_000 - 53_000*len(want))
		if len(want) > 0 && want[0] == "docker.io/library/mid:1" {
			limit = 60_000
		}
		out, err := s.Prune(t.Context(), images.PruneOptions{Bytes: limit})
		if err != nil || !slices.Equal(out.References, want) {
			t.Errorf("down to %d: removed %+v, %v, want %v", limit, out, err, want)
		}
	}
	imagestest.Verify(t, s, "new:1")
}

// age says in the index that images were put at other times.
func age(t *testing.T, s *images.Store, when map[string]string) {
	t.Helper()
	file := filepath.Join(s.Dir(), "index.json")
	data, err := os.ReadFile(file)
	fixture.Must(t, err)
	var index v1.IndexManifest
	fixture.Must(t, json.Unmarshal(data, &index))
	for _, d := range index.Manifests {
		for ref, at := range when {
			if strings.HasSuffix(d.Annotations["org.opencontainers.image.ref.name"], "/"+ref) {
				d.Annotations["fnb.stored"] = at
			}
		}
	}
	data, err = json.Marshal(index)
	fixture.Must(t, err)
	fixture.Must(t, os.WriteFile(file, data, 0o600))
}

func TestPruneRemovesTheDamaged(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	desc := imagestest.Put(t, s, "a:1", imagestest.NewImage(t))
	imagestest.Put(t, s, "b:1", imagestest.NewImage(t))
	fixture.Must(t, os.Remove(filepath.Join(s.Dir(), "blobs", "sha256", desc.Digest.Hex)))
	if _, err := s.Remove(t.Context(), "b:1"); err == nil {
		t.Error("what a damaged image needs was not known, and something was deleted")
	}
	if _, err := s.Remove(t.Context(), "a:1"); err != nil {
		t.Error(err)
	}
	imagestest.Verify(t, s, "b:1")
}

func TestRemoveSeveral(t *testing.T) {
	t.Parallel()
	s := imagestest.NewStore(t)
	for _, ref := range []string{"a:1", "a:2", "b:1"} {
		imagestest.Put(t, s, ref, imagestest.NewImage(t))
	}
	_, err := s.Remove(t.Context(), "a:1", "a:3")
	if none, ok := errors.AsType[*images.NotFoundError](err); !ok || len(none.Near) != 2 {
		t.Errorf("one is not there: %v", err)
	}
	if _, err := s.Find("a:1"); err != nil {
		t.Errorf("another one was removed: %v", err)
	}
	out, err := s.Remove(t.Context(), "a:1", "a:1", "b:1")
	if err != nil || len(out.References) != 2 || out.Blobs != 6 {
		t.Errorf("removed %+v, %v", out, err)
	}
}

// TestStacks: an image belongs to the stack files it was put for, while they are there and
// name it.
func TestStacks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, image string) string {
		file := filepath.Join(dir, name)
		fixture.Must(t, os.WriteFile(file, []byte("functions:\n  a:\n    lang: go\n    handler: ./a\n    image: "+image+"\n"), 0o600))
		return file
	}
	s := imagestest.NewStore(t)
	one, two := write("one.yaml", "hello:1"), write("two.yaml", "${FNB_NO_SUCH_VARIABLE}/hello:1")
	for _, c := range []struct {
		ref   string
		stack []string
		named bool
	}{
		{"hello:1", []string{one}, true},
		{"hello:2", []string{one}, false},
		{"hello:3", []string{one, two}, true}, // it may be any
		{"hello:4", []string{filepath.Join(dir, "gone.yaml")}, false},
		{"hello:5", []string{write("bad.yaml", "[")}, true},
		{"hello:6", nil, false},
	} {
		for _, file := range c.stack {
			imagestest.Put(t, s.For(file), c.ref, imagestest.NewImage(t))
		}
		if c.stack == nil {
			imagestest.Put(t, s, c.ref, imagestest.NewImage(t))
		}
		e, err := s.Find(c.ref)
		fixture.Must(t, err)
		var stacks images.Stacks
		if !slices.Equal(e.Stacks, c.stack) || stacks.Name(e) != c.named || time.Since(e.Stored) > time.Hour {
			t.Errorf("%s is of %v, put %v ago; named: %v", c.ref, e.Stacks, time.Since(e.Stored), stacks.Name(e))
		}
	}
	var stacks images.Stacks
	e, err := s.Find("hello:1")
	fixture.Must(t, err)
	if !stacks.Name(e) {
		t.Error("it is not named")
	}
	write("one.yaml", "hello:7")
	stacks = images.Stacks{}
	if stacks.Name(e) {
		t.Error("it is named by a stack that has another image now")
	}
}
