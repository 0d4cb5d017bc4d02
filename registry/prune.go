package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// grace is how long a blob is kept that nothing needs: a writer that does not
// call Hold has this long from its first blob until Put.
const grace = time.Hour

// A Pruned is what one [ImageStore.Prune] deleted.
type Pruned struct {
	Blobs int
	Bytes int64
}

// Hold keeps [ImageStore.Prune] from deleting anything until release is called or
// the process ends. Whoever writes blobs holds the store from before the first
// blob until after Put, because a writer skips blobs that are there already.
// Any number of processes may hold the store at once.
func (s *ImageStore) Hold(ctx context.Context) (release func(), err error) {
	return lockFile(ctx, filepath.Join(s.dir, useLock), false)
}

// Prune deletes the blobs that no reference needs, and what interrupted writers
// left. It waits until nobody holds the store, and keeps what is younger than
// an hour. If an image of the store cannot be read, Prune deletes nothing.
func (s *ImageStore) Prune(ctx context.Context) (Pruned, error) {
	return s.prune(ctx, time.Now().Add(-grace))
}

func (s *ImageStore) prune(ctx context.Context, before time.Time) (Pruned, error) {
	var pruned Pruned
	release, err := lockFile(ctx, filepath.Join(s.dir, useLock), true)
	if err != nil {
		return pruned, err
	}
	defer release()
	err = s.changeIndex(ctx, func(index *v1.IndexManifest) error {
		needed, err := s.needed(ctx, index)
		if err != nil {
			return err
		}
		pruned, err = s.sweep(ctx, needed, before)
		return err
	})
	if err != nil {
		return pruned, err
	}
	return pruned, s.sweepUnfinished(before)
}

// needed returns the hexadecimal digests of all blobs that the index reaches.
func (s *ImageStore) needed(ctx context.Context, index *v1.IndexManifest) (map[string]bool, error) {
	needed := map[string]bool{}
	for _, d := range index.Manifests {
		t, err := s.walk(ctx, d)
		if err != nil {
			return nil, fmt.Errorf("pruning the image store: %s: %w", d.Annotations[refName], err)
		}
		for _, b := range t.Blobs {
			needed[b.Digest.Hex] = true
		}
		for _, m := range t.Manifests {
			needed[m.Digest.Hex] = true
		}
	}
	return needed, nil
}

func (s *ImageStore) sweep(ctx context.Context, needed map[string]bool, before time.Time) (Pruned, error) {
	var pruned Pruned
	dir := filepath.Join(s.dir, "blobs", "sha256")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return pruned, fmt.Errorf("pruning the image store: %w", err)
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return pruned, ctx.Err()
		}
		if needed[e.Name()] {
			continue
		}
		size, removed, err := removeOld(filepath.Join(dir, e.Name()), before)
		if err != nil {
			return pruned, err
		}
		if removed {
			pruned.Blobs++
			pruned.Bytes += size
		}
	}
	return pruned, nil
}

// sweepUnfinished removes what killed writers left: temporary files, and the
// folders in which containerd's content store collects a blob.
func (s *ImageStore) sweepUnfinished(before time.Time) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("pruning the image store: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporary) {
			if _, _, err := removeOld(filepath.Join(s.dir, e.Name()), before); err != nil {
				return err
			}
		}
	}
	ingest := filepath.Join(s.dir, "ingest")
	entries, err = os.ReadDir(ingest)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pruning the image store: %w", err)
	}
	for _, e := range entries {
		if _, _, err := removeOld(filepath.Join(ingest, e.Name()), before); err != nil {
			return err
		}
	}
	return nil
}

// removeOld removes path, with what is below it, when it was last changed before
// the given time.
func removeOld(path string, before time.Time) (size int64, removed bool, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("pruning the image store: %w", err)
	}
	if !info.ModTime().Before(before) {
		return 0, false, nil
	}
	if err := os.RemoveAll(path); err != nil {
		return 0, false, fmt.Errorf("pruning the image store: %w", err)
	}
	return info.Size(), true, nil
}
