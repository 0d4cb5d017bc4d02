package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"fnb/schema"
	"fnb/templates"
)

const (
	lockRetry = 10 * time.Millisecond
	// leftoverAge is when an unfinished folder is taken to be of a process that
	// was killed.
	leftoverAge = 6 * time.Hour
)

// A cache keeps templates that were fetched, by content checksum, and what is
// known of repositories:
//
//	templates/HEX/…   the files of one template
//	repos/HEX.json    a repoRecord, HEX the SHA-256 of the URL
//	repos/HEX.lock    held while a repository is fetched
//	unfinished/…      what is being made; renamed into templates when whole
type cache struct {
	dir   string
	limit int64 // bytes of templates

	once sync.Once
	use  *flock.Flock // held by whoever uses the cache
}

// A repoRecord is what the cache knows of one repository.
type repoRecord struct {
	URL   string            `json:"url"`
	Refs  map[string]string `json:"refs"`  // what was asked for, to the commit it named last
	Trees map[string]string `json:"trees"` // commit, space and place, to the template's place, space and checksum
}

func (c *cache) repoPath(url, suffix string) string {
	sum := sha256.Sum256([]byte(url))
	return filepath.Join(c.dir, "repos", hex.EncodeToString(sum[:])+suffix)
}

// lockRepo keeps other processes from fetching the same repository meanwhile.
func (c *cache) lockRepo(ctx context.Context, url string) (unlock func(), err error) {
	path := c.repoPath(url, ".lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	l := flock.New(path, flock.SetPermissions(0o600))
	if _, err := l.TryLockContext(ctx, lockRetry); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("using the cache: locking %s: %w", path, err)
	}
	// Closing the file releases the lock, whatever it returns.
	return func() { _ = l.Close() }, nil
}

// record reads what is known of a repository. A damaged record is an empty one.
func (c *cache) record(url string) *repoRecord {
	r := &repoRecord{}
	b, err := os.ReadFile(c.repoPath(url, ".json"))
	if err != nil || json.Unmarshal(b, r) != nil || r.URL != url {
		r = &repoRecord{URL: url}
	}
	if r.Refs == nil {
		r.Refs = map[string]string{}
	}
	if r.Trees == nil {
		r.Trees = map[string]string{}
	}
	return r
}

// save writes a record; the repository's lock is held.
func (c *cache) save(r *repoRecord) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("using the cache: %w", err)
	}
	return schema.WriteFile(c.repoPath(r.URL, ".json"), append(b, '\n'), 0o600)
}

func (c *cache) templateDir(checksum string) (string, bool) {
	sum, ok := strings.CutPrefix(checksum, "fnb1:sha256:")
	if _, err := hex.DecodeString(sum); err != nil || !ok || len(sum) != 64 {
		return "", false
	}
	return filepath.Join(c.dir, "templates", sum), true
}

// open returns the cached template with a checksum. What is not what the
// checksum says is removed, and counts as missing.
func (c *cache) open(checksum string) (*templates.Template, bool) {
	dir, ok := c.templateDir(checksum)
	if !ok {
		return nil, false
	}
	c.hold()
	t, err := templates.OpenDir(dir)
	if err == nil && t.Checksum == checksum {
		used(dir)
		return t, true
	}
	if !errors.Is(err, fs.ErrNotExist) || isFolder(dir) {
		// Moved away first, so that nobody finds half of it. When that fails the
		// next one tries again.
		if aside, err := c.unfinished(); err == nil && os.Rename(dir, filepath.Join(aside, "damaged")) == nil {
			_ = os.RemoveAll(aside)
		}
	}
	return nil, false
}

// unfinished makes a folder for something that is being made, and removes those
// that killed processes have left.
func (c *cache) unfinished() (string, error) {
	parent := filepath.Join(c.dir, "unfinished")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", fmt.Errorf("using the cache: %w", err)
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return "", fmt.Errorf("using the cache: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > leftoverAge {
			// Another process may be removing it as well.
			_ = os.RemoveAll(filepath.Join(parent, e.Name()))
		}
	}
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		return "", fmt.Errorf("using the cache: %w", err)
	}
	return dir, nil
}

// add moves the template in the folder dir, which lies in the cache, to its
// place, and opens it there.
func (c *cache) add(dir string) (*templates.Template, error) {
	t, err := templates.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	place, ok := c.templateDir(t.Checksum)
	if !ok {
		return nil, fmt.Errorf("using the cache: malformed checksum %q", t.Checksum)
	}
	if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	checksum := t.Checksum
	c.hold()
	if err := os.WriteFile(c.grown(), nil, 0o600); err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	if err := os.Rename(dir, place); err != nil && !isFolder(place) {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	t, ok = c.open(checksum)
	if !ok {
		return nil, fmt.Errorf("using the cache: %s does not keep what was written to it", place)
	}
	return t, nil
}
