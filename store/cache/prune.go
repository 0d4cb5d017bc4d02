package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"fnb/internal/disk"
)

const (
	// defaultSize is how many bytes of templates a cache keeps.
	defaultSize = 1 << 30
	// usedGrain is how exactly the cache knows when a template was used last.
	usedGrain = time.Hour
)

// hold keeps the cache from being pruned while this process may use what it has, and
// prunes it before, where it has grown and nobody else uses it:
//
//	use.lock  held shared by every process that uses the cache, alone to prune it
//	grown     there when something was added since the cache was measured last
//
// A cache that cannot be locked is used all the same: what is missing is fetched anew.
func (c *Cache) hold() {
	c.once.Do(func() {
		if os.MkdirAll(c.dir, 0o700) != nil {
			return
		}
		if _, err := os.Stat(c.grown()); err == nil {
			if unlock, alone, err := disk.TryLock(c.useLock()); err == nil && alone {
				_, _ = c.prune(c.limit) // the next process tries again
				unlock()
			}
		}
		// Whoever prunes is done within the time that removing takes.
		c.let, _ = disk.Share(context.Background(), c.useLock()) //nolint:contextcheck // it is held until Close
	})
}

// Close lets other processes prune the cache: it ends what hold began. Templates that the
// cache has returned must not be used any more.
func (c *Cache) Close() error {
	if c.let != nil {
		c.let()
	}
	return nil
}

func (c *Cache) useLock() string { return filepath.Join(c.dir, "use.lock") }

func (c *Cache) grown() string { return filepath.Join(c.dir, "grown") }

// A cached template is one folder of the cache.
type cachedTemplate struct {
	path string
	size int64
	used time.Time
}

// prune removes the templates that were not used for the longest time, until those
// that are left have no more than limit bytes. Nobody else uses the cache meanwhile.
func (c *Cache) prune(limit int64) (removed int64, err error) {
	all, sum, err := c.measure()
	if err != nil {
		return 0, err
	}
	slices.SortFunc(all, func(a, b cachedTemplate) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path)) })
	for _, t := range all {
		if sum <= limit {
			break
		}
		// Moved away first: a template is there as a whole, or not at all.
		aside, err := c.Unfinished()
		if err != nil {
			return removed, err
		}
		if err := os.Rename(t.path, filepath.Join(aside, "pruned")); err != nil {
			return removed, fmt.Errorf("pruning the cache: %w", err)
		}
		if err := os.RemoveAll(aside); err != nil {
			return removed, fmt.Errorf("pruning the cache: %w", err)
		}
		sum, removed = sum-t.size, removed+t.size
	}
	if err := os.Remove(c.grown()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return removed, fmt.Errorf("pruning the cache: %w", err)
	}
	return removed, nil
}

// measure returns the templates of the cache and how many bytes they have together.
func (c *Cache) measure() (all []cachedTemplate, sum int64, err error) {
	parent := filepath.Join(c.dir, "templates")
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("measuring the cache: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() {
			continue // it is gone, or not of the cache
		}
		t := cachedTemplate{path: filepath.Join(parent, e.Name()), used: info.ModTime()}
		err = filepath.WalkDir(t.path, func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil {
				t.size += info.Size()
			}
			return err
		})
		if err != nil {
			return nil, 0, fmt.Errorf("measuring the cache: %w", err)
		}
		all, sum = append(all, t), sum+t.size
	}
	return all, sum, nil
}

// noteUse notes that a template was used.
func noteUse(dir string) {
	now := time.Now()
	if info, err := os.Stat(dir); err == nil && now.Sub(info.ModTime()) > usedGrain {
		_ = os.Chtimes(dir, now, now) // it is only pruned earlier
	}
}

// Prune removes what was not used for the longest time, until the templates have no more
// bytes than the cache may, and returns how many it removed. It waits until no other
// process uses the cache. The cache itself must not have been used before.
func (c *Cache) Prune(ctx context.Context) (int64, error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return 0, fmt.Errorf("pruning the cache: %w", err)
	}
	unlock, err := disk.Lock(ctx, c.useLock())
	if err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return 0, fmt.Errorf("pruning the cache: %w", err)
	}
	defer unlock()
	return c.prune(c.limit)
}
