package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fnb/store/cache"
	"fnb/store/git"
	"fnb/store/records"
)

// A folderSource is a store in a folder without git, if the folder is no index.
type folderSource struct{}

func (folderSource) is(url string) bool { return filepath.IsAbs(url) }

func (folderSource) parts() (one, many string) { return "file", "files" }

func (folderSource) refresh(ctx context.Context, s *Finder, c Store, old *cache.Index) (*cache.Index, error) {
	t, err := records.OpenFolder(c.URL)
	if err != nil {
		return nil, &git.UnreachableError{URL: c.URL, Err: errors.Unwrap(err)}
	}
	sc := &records.Scanner{Tree: t}
	if err := sc.Check(c.URL); err != nil {
		return nil, errors.Join(err, t.Root.Close())
	}
	x, err := s.build(ctx, c, cache.IndexState{URL: c.URL, Checked: time.Now().UTC()}, old, sc.Feed(ctx))
	return x, errors.Join(err, t.Root.Close())
}

// addOnce adds files to a store in a folder. Each appears whole or not at all,
// and none is replaced.
func (folderSource) addOnce(_ context.Context, _ *Finder, c Store, a Addition) (done Added, _ string, err error) {
	if a.Branch != "" {
		return Added{}, "", fmt.Errorf("store %s: a folder has no branches", c.Name)
	}
	t, err := records.OpenFolder(c.URL)
	if err != nil {
		return Added{}, "", &git.UnreachableError{URL: c.URL, Err: errors.Unwrap(err)}
	}
	defer func() { err = errors.Join(err, t.Root.Close()) }()
	if err := (&records.Scanner{Tree: t}).Check(c.URL); err != nil {
		return Added{}, "", err
	}
	files, err := a.Files(t)
	if err != nil || len(files) == 0 || a.Dry {
		return Added{Wrote: len(files) > 0}, "", err
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	// The record comes last: once it is there, all is.
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(strings.Count(a, "/")-strings.Count(b, "/"), cmp.Compare(path.Ext(b), path.Ext(a))) // .sig before .json
	})
	for _, name := range names {
		changes := path.Base(name) == records.PackageFile || path.Base(name) == records.SignatureOf(records.PackageFile)
		err := linkFile(t.Root, name, files[name], a.Change && changes)
		if errors.Is(err, os.ErrExist) && path.Base(name) == records.PackageFile {
			continue // somebody else has published the first version
		}
		if errors.Is(err, os.ErrExist) {
			return Added{}, "", git.ErrRejected
		}
		if err != nil {
			return Added{}, "", err
		}
	}
	return Added{Wrote: true}, "", nil
}

// linkFile makes a new file, at once with all its content; or replaces one.
func linkFile(root *os.Root, name string, data []byte, replace bool) (err error) {
	file := filepath.FromSlash(name)
	if err := root.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	beside := filepath.Join(filepath.Dir(file), fmt.Sprintf(".%x.new", rand.Uint64()))
	f, err := root.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Remove(beside)) }()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if replace {
		if err := root.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return root.Link(beside, file)
}
