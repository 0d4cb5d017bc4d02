package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"fnb/store/cache"
	"fnb/store/git"
	"fnb/store/records"
)

// A gitSource is a store in a git repository: whatever is of no other kind.
type gitSource struct{}

func (gitSource) is(string) bool { return true }

func (gitSource) parts() (one, many string) { return "file", "files" }

// storeLimits bound what is taken from a store's repository: many small files.
func storeLimits(l git.Limits) git.Limits {
	l.Download, l.Unpacked, l.Objects = max(l.Download, 1<<30), max(l.Unpacked, 4<<30), max(l.Objects, 4_000_000)
	return l
}

func (gitSource) refresh(ctx context.Context, s *Finder, c Store, old *cache.Index) (*cache.Index, error) {
	current, err := s.isCurrent(c, old)
	if err != nil {
		return nil, err
	}
	tip, err := s.openTip(ctx, c.URL, func(commit string) bool { return current && old.State.Commit == commit })
	if err != nil {
		return nil, err
	}
	defer tip.close()
	if tip.tree == nil { // nothing has changed
		old.State.Checked, old.State.Reach = time.Now().UTC(), tip.remote.Reach()
		return old, s.cache.SaveState(old.State)
	}
	sc := &records.Scanner{Tree: tip.tree}
	if err := sc.Check(c.URL); err != nil {
		return nil, err
	}
	return s.build(ctx, c, cache.IndexState{URL: c.URL, Commit: tip.commit, Checked: time.Now().UTC(), Reach: tip.remote.Reach()}, old, sc.Feed(ctx))
}

// A tip is the newest commit of a store's repository.
type tip struct {
	commit string
	branch string           // refs/heads/… that is the repository's own
	tree   *records.GitTree // nil where the commit was known
	remote *git.Remote
	dir    string
}

func (t *tip) close() {
	t.remote.Close()
	_ = os.RemoveAll(t.dir) // nothing depends on what is left of it
}

// openTip reads the newest commit of a store, unless it is known.
func (s *Finder) openTip(ctx context.Context, url string, known func(commit string) bool) (_ *tip, err error) {
	r := s.git.WithLimits(storeLimits(s.git.Limits())).Open(url)
	t := &tip{remote: r}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	refs, err := r.References(ctx)
	if err != nil {
		return nil, asNoStore(err)
	}
	if t.commit, t.branch = refs.Head, refs.Branch; t.commit == "" {
		return nil, &records.NoStoreError{Name: url, Err: fmt.Errorf("%s has no default branch", url)}
	}
	if known(t.commit) {
		return t, nil
	}
	if t.dir, err = s.cache.Unfinished(); err != nil {
		return nil, err
	}
	files, err := r.Fetch(ctx, t.commit, filepath.Join(t.dir, "objects"))
	if err != nil {
		return nil, asNoStore(err)
	}
	t.tree = &records.GitTree{Tree: files}
	return t, nil
}

// addOnce adds files on top of the newest commit, which it returns as well.
func (gitSource) addOnce(ctx context.Context, s *Finder, c Store, a Addition) (Added, string, error) {
	t, err := s.openTip(ctx, c.URL, func(string) bool { return false })
	if err != nil {
		return Added{}, "", err
	}
	defer t.close()
	if err := (&records.Scanner{Tree: t.tree}).Check(c.URL); err != nil {
		return Added{}, t.commit, err
	}
	files, err := a.Files(t.tree)
	if err != nil || len(files) == 0 || a.Dry {
		return Added{Wrote: len(files) > 0}, t.commit, err
	}
	author, err := git.Author(s.opts.Getenv)
	if err != nil {
		return Added{}, t.commit, err
	}
	branch, old := t.branch, t.commit
	if a.Branch != "" {
		branch, old = a.Branch, ""
	}
	if branch == "" {
		return Added{}, t.commit, fmt.Errorf("store %s: it has no branch to publish to", c.Name)
	}
	commit, err := git.NewCommit(t.tree.Tree, files, author, a.Message)
	if err != nil {
		return Added{}, t.commit, err
	}
	err = s.git.Push(ctx, c.URL, branch, old, commit)
	return Added{Commit: commit.Hash(), Base: t.branch, Wrote: err == nil}, t.commit, err
}
