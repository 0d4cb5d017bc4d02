package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/disk"
)

// grace is how long a blob is kept that nothing needs: a writer that does not
// call Hold has this long from its first blob until Put.
const grace = time.Hour

// PruneOptions say what [Store.Prune] removes. The zero value removes every image.
type PruneOptions struct {
	// Keep reports whether an image stays, whatever else is asked for; nil keeps none.
	Keep func(Entry) bool
	// Bytes is how large the store may stay: images go, the oldest first, until it is no
	// larger. 0 removes all that Keep does not keep.
	Bytes int64
	// Before is when a blob that no image needs was last changed, to be deleted; the zero
	// value is an hour ago. What removed images alone needed is deleted at once.
	Before time.Time
}

// A Pruned is what one [Store.Prune] or [Store.Remove] deleted.
type Pruned struct {
	References []string // sorted
	Blobs      int
	Bytes      int64
}

// Hold keeps [Store.Prune] from deleting anything until release is called or
// the process ends. Whoever writes blobs holds the store from before the first
// blob until after Put, because a writer skips blobs that are there already.
// Any number of processes may hold the store at once.
func (s *Store) Hold(ctx context.Context) (release func(), err error) {
	return disk.Share(ctx, filepath.Join(s.dir, useLock))
}

// Prune removes images, and deletes the blobs that no image needs any more and what
// interrupted writers left. It waits until nobody holds the store. If an image that
// stays cannot be read, Prune deletes nothing.
func (s *Store) Prune(ctx context.Context, opts PruneOptions) (Pruned, error) {
	if opts.Before.IsZero() {
		opts.Before = time.Now().Add(-grace)
	}
	return s.delete(ctx, opts.Before, func(all []Entry) ([]Entry, error) {
		may := slices.DeleteFunc(all, func(e Entry) bool { return opts.Keep != nil && opts.Keep(e) })
		slices.SortStableFunc(may, func(a, b Entry) int { return a.Stored.Compare(b.Stored) })
		return may, nil
	}, opts.Bytes)
}

// Remove removes the images that refs name, and deletes the blobs that nothing else
// needs. It waits until nobody holds the store. If the store does not have one of them,
// Remove removes nothing and returns a [*NotFoundError].
func (s *Store) Remove(ctx context.Context, refs ...string) (Pruned, error) {
	return s.delete(ctx, time.Now().Add(-grace), func(all []Entry) ([]Entry, error) {
		var gone []Entry
		for _, ref := range refs {
			e, err := find(ref, all)
			if err != nil {
				return nil, err
			}
			gone = append(gone, e)
		}
		return gone, nil
	}, 0)
}

// delete removes the entries that choose returns, in their order until the store is no
// larger than enough bytes, and what nothing needs then.
func (s *Store) delete(ctx context.Context, before time.Time, choose func([]Entry) ([]Entry, error), enough int64) (Pruned, error) {
	var out Pruned
	release, err := disk.Lock(ctx, filepath.Join(s.dir, useLock))
	if err != nil {
		return out, err
	}
	defer release()
	var use *usage
	err = s.changeIndex(ctx, func(index *v1.IndexManifest) error {
		chosen, err := choose(s.entries(index))
		if err != nil {
			return err
		}
		if use, err = s.usage(ctx, index, chosen); err != nil {
			return err
		}
		for _, e := range chosen {
			if enough > 0 && use.bytes <= enough {
				break
			}
			if ref := e.Reference; !slices.Contains(out.References, ref) {
				use.drop(ref)
				out.References = append(out.References, ref)
				index.Manifests = slices.DeleteFunc(index.Manifests, named(ref))
			}
		}
		slices.Sort(out.References)
		index.Manifests = slices.DeleteFunc(index.Manifests, func(d v1.Descriptor) bool {
			return isAttached(d) && use.needed[d.Digest.Hex] == 0
		})
		return nil
	})
	if err != nil {
		return Pruned{}, err
	}
	// The index does not name them any more, also after a crash that ends the sweep.
	if err := s.sweep(ctx, use, before, &out); err != nil {
		return out, err
	}
	return out, s.sweepUnfinished(before)
}

// A usage is which images need which blobs.
type usage struct {
	images map[string][]string // hexadecimal digests, by reference
	needed map[string]int      // by how many images, by digest
	size   map[string]int64
	bytes  int64           // of all blobs that are needed
	freed  map[string]bool // needed by none but the images that were dropped
}

// usage reads what the images of an index are made of, and what is attached to them. One that
// cannot be read is an error, unless it is about to go.
func (s *Store) usage(ctx context.Context, index *v1.IndexManifest, chosen []Entry) (*usage, error) {
	u := &usage{images: map[string][]string{}, needed: map[string]int{}, size: map[string]int64{}, freed: map[string]bool{}}
	attached := s.attachedTo(index)
	for _, d := range index.Manifests {
		if isAttached(d) {
			continue // it is needed by what it is attached to
		}
		ref := d.Annotations[refName]
		t, err := s.Walk(ctx, d)
		if err != nil {
			if ctx.Err() == nil && slices.ContainsFunc(chosen, func(e Entry) bool { return e.Reference == ref }) {
				continue
			}
			return nil, fmt.Errorf("pruning the image store: %s: %w", ref, err)
		}
		u.add(ref, t)
		seen := map[v1.Hash]bool{}
		for below := t.Manifests; len(below) > 0; below = below[1:] {
			for _, a := range attached[below[0].Digest.String()] {
				t, err := s.Walk(ctx, a)
				if err != nil || seen[a.Digest] {
					continue // what is damaged is attached no more
				}
				seen[a.Digest] = true
				u.add(ref, t)
				below = append(below, t.Manifests...)
			}
		}
	}
	return u, ctx.Err()
}

// add says that an image needs the blobs of a tree.
func (u *usage) add(ref string, t *Tree) {
	for _, b := range slices.Concat(t.Blobs, t.Manifests) {
		hex := b.Digest.Hex
		u.images[ref] = append(u.images[ref], hex)
		if u.needed[hex]++; u.needed[hex] == 1 {
			u.size[hex] = b.Size
			u.bytes += b.Size
		}
	}
}

// drop says that an image is gone.
func (u *usage) drop(ref string) {
	for _, hex := range u.images[ref] {
		if u.needed[hex]--; u.needed[hex] == 0 {
			u.bytes -= u.size[hex]
			u.freed[hex] = true
		}
	}
	delete(u.images, ref)
}

// sweep deletes the blobs that no image needs: at once where images needed them until
// now, and otherwise where they were last changed before the given time.
func (s *Store) sweep(ctx context.Context, use *usage, before time.Time, out *Pruned) error {
	dir := filepath.Join(s.dir, "blobs", "sha256")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("pruning the image store: %w", err)
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if use.needed[e.Name()] > 0 {
			continue
		}
		limit := before
		if use.freed[e.Name()] {
			limit = time.Now().Add(grace)
		}
		size, removed, err := removeOld(filepath.Join(dir, e.Name()), limit)
		if err != nil {
			return err
		}
		if removed {
			out.Blobs++
			out.Bytes += size
		}
	}
	return nil
}

// sweepUnfinished removes what killed writers left: temporary files, and the
// folders in which containerd's content store collects a blob.
func (s *Store) sweepUnfinished(before time.Time) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("pruning the image store: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), disk.Temporary) {
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
