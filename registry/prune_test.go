package registry

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

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
