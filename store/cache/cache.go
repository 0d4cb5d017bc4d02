package cache

import (
	"cmp"
	"context"
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

	"fnb/internal/disk"
	"fnb/store/records"
	"fnb/templates"
)

// leftoverAge is when an unfinished folder is taken to be of a process that was killed.
const leftoverAge = 6 * time.Hour

// A Cache keeps templates that were fetched, by content checksum, and what is
// known of repositories:
//
//	templates/HEX/…   the files of one template
//	repos/HEX.json    a [RepositoryRefs], HEX the SHA-256 of the URL
//	repos/HEX.lock    held while a repository is fetched
//	unfinished/…      what is being made; renamed into templates when whole
type Cache struct {
	dir   string
	limit int64 // bytes of templates

	once sync.Once
	let  func() // of the lock that whoever uses the cache holds; nil without
}

// New returns the cache in a folder, which keeps so many bytes of templates; 0 means
// 1 GiB. It does not touch the disk yet.
func New(dir string, size int64) *Cache {
	return &Cache{dir: dir, limit: cmp.Or(size, defaultSize)}
}

// A RepositoryRefs is what the cache knows of one repository.
type RepositoryRefs struct {
	URL   string            `json:"url"`
	Refs  map[string]string `json:"refs"`  // what was asked for, to the commit it named last
	Trees map[string]string `json:"trees"` // commit, space and place, to the template's place, space and checksum
}

func (c *Cache) repoPath(url, suffix string) string {
	return filepath.Join(c.dir, "repos", records.Sum([]byte(url))+suffix)
}

// Lock keeps other processes from fetching the same repository meanwhile.
func (c *Cache) Lock(ctx context.Context, url string) (unlock func(), err error) {
	path := c.repoPath(url, ".lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	unlock, err = disk.Lock(ctx, path)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("using the cache: %w", err)
	}
	return unlock, err
}

// Repository reads what is known of a repository. A damaged record is an empty one.
func (c *Cache) Repository(url string) *RepositoryRefs {
	r := &RepositoryRefs{}
	b, err := os.ReadFile(c.repoPath(url, ".json"))
	if err != nil || json.Unmarshal(b, r) != nil || r.URL != url {
		r = &RepositoryRefs{URL: url}
	}
	if r.Refs == nil {
		r.Refs = map[string]string{}
	}
	if r.Trees == nil {
		r.Trees = map[string]string{}
	}
	return r
}

// SaveRepository writes a record; the repository's lock is held.
func (c *Cache) SaveRepository(r *RepositoryRefs) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("using the cache: %w", err)
	}
	return disk.ReplaceFile(c.repoPath(r.URL, ".json"), append(b, '\n'), 0o600)
}

func (c *Cache) templateDir(checksum string) (string, bool) {
	sum, ok := strings.CutPrefix(checksum, "fnb1:sha256:")
	if _, err := hex.DecodeString(sum); err != nil || !ok || len(sum) != 64 {
		return "", false
	}
	return filepath.Join(c.dir, "templates", sum), true
}

// Open returns the cached template with a checksum. What is not what the
// checksum says is removed, and counts as missing.
func (c *Cache) Open(checksum string) (*templates.Template, bool) {
	dir, ok := c.templateDir(checksum)
	if !ok {
		return nil, false
	}
	c.hold()
	t, err := templates.OpenDir(dir)
	if err == nil && t.Checksum == checksum {
		noteUse(dir)
		return t, true
	}
	if !errors.Is(err, fs.ErrNotExist) || isFolder(dir) {
		// Moved away first, so that nobody finds half of it. When that fails the
		// next one tries again.
		if aside, err := c.Unfinished(); err == nil && os.Rename(dir, filepath.Join(aside, "damaged")) == nil {
			_ = os.RemoveAll(aside)
		}
	}
	return nil, false
}

// Unfinished makes a folder for something that is being made, and removes those
// that killed processes have left.
func (c *Cache) Unfinished() (string, error) {
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

// Add moves the template in the folder dir, which lies in the cache, to its
// place, and opens it there.
func (c *Cache) Add(dir string) (*templates.Template, error) {
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
	t, ok = c.Open(checksum)
	if !ok {
		return nil, fmt.Errorf("using the cache: %s does not keep what was written to it", place)
	}
	return t, nil
}

// isFolder reports whether there is a folder.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Has reports whether there is a template with a checksum, of which nothing is read.
func (c *Cache) Has(checksum string) bool {
	dir, ok := c.templateDir(checksum)
	return ok && isFolder(dir)
}
