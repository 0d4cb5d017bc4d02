package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fnb/schema"
	"fnb/store/cache"
	"fnb/store/git"
	"fnb/store/records"
)

// An indexSource is an index that [records.Reader.Generate] has made, at a web server or
// in a folder: the address of its folder ends in a slash.
type indexSource struct{}

func (indexSource) is(url string) bool { return strings.HasSuffix(url, "/") }

func (indexSource) parts() (one, many string) { return "file", "files" }

func (indexSource) addOnce(_ context.Context, _ *Finder, c Store, _ Addition) (Added, string, error) {
	return Added{}, "", fmt.Errorf("store %s: an index is generated from a store, and cannot be published to: add the store's repository", c.Name)
}

// other is the store that the same address could mean as well: an index instead of a
// git repository, or the other way round.
func (c Store) other() (Store, bool) {
	if !isHTTP(c.URL) || strings.HasSuffix(c.URL, ".git") {
		return c, false
	}
	switch c.kind.(type) {
	case gitSource:
		return c.at(c.URL + "/"), true
	case indexSource:
		o := c.at(strings.TrimRight(c.URL, "/"))
		_, err := schema.ParseTemplateRef(o.URL)
		return o, err == nil
	}
	return c, false
}

func isHTTP(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
}

// indexURL is the address of an index as it is kept; not ok for what is none.
func indexURL(text string) (address string, ok bool, err error) {
	if isHTTP(text) {
		if !strings.HasSuffix(text, "/") {
			return "", false, nil
		}
		address = strings.TrimRight(text, "/") + "/"
		// All that is refused in a repository's URL is in this one as well.
		_, err := schema.ParseTemplateRef(address + records.SnapshotFile)
		return address, true, err
	}
	dir, err := filepath.Abs(text)
	if err != nil {
		return "", false, err
	}
	if _, err := os.Stat(filepath.Join(dir, records.StoreFileName)); err == nil {
		return "", false, nil
	}
	_, err = os.Stat(filepath.Join(dir, records.SnapshotFile))
	return strings.TrimRight(dir, "/") + "/", err == nil, nil
}

// refreshEither is refresh for a store that is added, of which it is found out whether
// it is a repository or an index.
func (s *Finder) refreshEither(ctx context.Context, c Store) (Store, *cache.Index, []string, error) {
	x, notes, err := s.refresh(ctx, c)
	o, ok := c.other()
	_, silent := errors.AsType[*git.StalledError](err)
	if err == nil || !ok || silent || ctx.Err() != nil {
		return c, x, notes, err
	}
	ox, onotes, oerr := s.refresh(ctx, o)
	_, index := o.kind.(indexSource)
	if oerr == nil || index && isNoStore(err) && !isNoStore(oerr) {
		return o, ox, onotes, oerr
	}
	return c, nil, notes, err
}

// isNoStore reports whether there is nothing where a store should be.
func isNoStore(err error) bool {
	_, ok := errors.AsType[*records.NoStoreError](err)
	return ok
}

// refresh asks for the one file of an index that has all of it, unless it is
// still the one that old is of.
func (indexSource) refresh(ctx context.Context, s *Finder, c Store, old *cache.Index) (*cache.Index, error) {
	st := cache.IndexState{URL: c.URL, Checked: time.Now().UTC()}
	current, err := s.isCurrent(c, old)
	if err != nil {
		return nil, err
	}
	if current {
		st.ETag = old.State.ETag
	}
	address := c.URL + records.SnapshotFile
	f, err := s.openSnapshot(ctx, address, &st)
	if err != nil {
		return nil, err
	}
	if f != nil {
		defer f.close()
		if st.Commit, err = f.digest(address, s.git.Limits().Download); err != nil {
			return nil, err
		}
	}
	if f == nil || current && old.State.Commit == st.Commit {
		old.State.Checked, old.State.ETag, old.State.Reach = st.Checked, st.ETag, st.Reach
		return old, s.cache.SaveState(old.State)
	}
	x, err := s.build(ctx, c, st, old, records.ReadSnapshot(ctx, address, f, s.git.Limits().Unpacked))
	if errors.Is(err, records.ErrNoSnapshot) && old == nil {
		err = &records.NoStoreError{Name: c.URL, Err: records.ErrNoSnapshot}
	}
	return x, err
}

// A snapshotCopy is a snapshot on this machine.
type snapshotCopy struct {
	*os.File
	dir string // to remove; "" for none
}

func (f *snapshotCopy) close() {
	_ = f.Close() // what was written to it is checked when it is read
	if f.dir != "" {
		_ = os.RemoveAll(f.dir) // nothing depends on what is left of it
	}
}

// digest is the SHA-256 of the file, which may have so many bytes.
func (f *snapshotCopy) digest(address string, limit int64) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("using the cache: %w", err)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(f, limit+1))
	if err != nil {
		return "", fmt.Errorf("using the cache: %w", err)
	}
	if n > limit {
		return "", &git.LimitError{Source: address, What: "the index has more bytes", Limit: limit}
	}
	_, err = f.Seek(0, io.SeekStart)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// openSnapshot gets the snapshot at an address, and notes its ETag and how far away it
// is; nil where it is still the one with the ETag.
func (s *Finder) openSnapshot(ctx context.Context, address string, st *cache.IndexState) (_ *snapshotCopy, err error) {
	if filepath.IsAbs(address) {
		if info, err := os.Lstat(address); err != nil || !info.Mode().IsRegular() {
			return nil, &git.UnreachableError{URL: address, Err: errors.New("it is not a plain file")}
		}
		f, err := os.Open(address)
		if err != nil {
			return nil, &git.UnreachableError{URL: address, Err: err}
		}
		return &snapshotCopy{File: f}, nil
	}
	file, err := s.git.Get(ctx, address, st.ETag)
	if err != nil {
		return nil, err
	}
	st.Reach = file.Reach
	if file.Body == nil {
		return nil, nil //nolint:nilnil // as documented
	}
	defer func() { _ = file.Body.Close() }() // it was only read from
	st.ETag = file.ETag
	f := &snapshotCopy{}
	if f.dir, err = s.cache.Unfinished(); err != nil {
		return nil, err
	}
	if f.File, err = os.Create(filepath.Join(f.dir, records.SnapshotFile)); err != nil {
		return nil, errors.Join(fmt.Errorf("using the cache: %w", err), os.RemoveAll(f.dir))
	}
	if _, err := io.Copy(f.File, io.LimitReader(file.Body, s.git.Limits().Download+1)); err != nil {
		f.close()
		if _, ours := errors.AsType[*os.PathError](err); ours {
			return nil, fmt.Errorf("using the cache: %w", err)
		}
		return nil, err
	}
	return f, nil
}
