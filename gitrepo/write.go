package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Write writes what a revision has at a path, and at the paths that links on the way lead to,
// below root, at the same places. What is there already stays. A path that the revision
// does not have is [fs.ErrNotExist]. Of a submodule the files are taken from its checkout's
// repository; where that does not have them they are left out.
func (t *Tree) Write(ctx context.Context, root *os.Root, name string) error {
	t.guard.Lock()
	defer t.guard.Unlock()
	w := &writer{tree: t, root: root}
	return w.path(ctx, path.Clean(name), 0)
}

// A writer writes files of a tree.
type writer struct {
	tree *Tree
	root *os.Root
}

// maxLinks is how many links lead to one another at most, as in most file systems.
const maxLinks = 40

// path writes what is at a path.
func (w *writer) path(ctx context.Context, name string, links int) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) || links > maxLinks {
		return fs.ErrNotExist
	}
	if name == "." {
		return w.entry(ctx, ".", Entry{Name: ".", Mode: Folder, ID: w.tree.root}, 0)
	}
	names := strings.Split(name, "/")
	for i := range names {
		at := path.Join(names[:i+1]...)
		e, err := w.tree.entry(at)
		if err != nil {
			return err
		}
		last := i == len(names)-1
		switch {
		case e.Mode == Link:
			if err := w.entry(ctx, at, e, 0); err != nil {
				return err
			}
			to, err := w.tree.objects.get(e.ID, maxLink)
			if err != nil {
				return err
			}
			err = w.path(ctx, path.Join(append([]string{path.Dir(at), string(to.data)}, names[i+1:]...)...), links+1)
			if errors.Is(err, fs.ErrNotExist) { // it leads nowhere, as it does in a checkout
				return nil
			}
			return err
		case last, e.Mode == Submodule:
			return w.entry(ctx, at, e, 0)
		case e.Mode != Folder:
			return fs.ErrNotExist
		}
	}
	return nil
}

// entry writes a file, or a folder with all that is in it.
func (w *writer) entry(ctx context.Context, at string, e Entry, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("folders are nested deeper than %d in %q", maxDepth, at)
	}
	name := filepath.FromSlash(at)
	if !filepath.IsLocal(name) || strings.EqualFold(path.Base(at), ".git") {
		return fmt.Errorf("commit %.12s has %q, which is not the name of a file", w.tree.Commit, at)
	}
	switch e.Mode {
	case Submodule:
		return w.submodule(ctx, at, e)
	case Folder:
		if err := w.root.MkdirAll(name, 0o755); err != nil {
			return err
		}
		if depth == 0 {
			if err := w.complete(ctx, e.ID); err != nil {
				return err
			}
		}
		entries, err := w.tree.folder(e.ID)
		if err != nil {
			return fmt.Errorf("reading %q of commit %.12s: %w", at, w.tree.Commit, err)
		}
		for _, sub := range entries {
			if err := w.entry(ctx, path.Join(at, sub.Name), sub, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := w.root.Lstat(name); err == nil {
		return nil
	}
	if err := w.root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	o, err := w.tree.objects.get(e.ID, maxFile)
	if err != nil {
		return fmt.Errorf("reading %q of commit %.12s: %w", at, w.tree.Commit, err)
	}
	if e.Mode == Link {
		return w.root.Symlink(string(o.data), name)
	}
	mode := fs.FileMode(0o644)
	if e.Mode == Executable {
		mode = 0o755
	}
	f, err := w.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(o.data)
	return errors.Join(err, f.Close())
}

// complete fetches at once what a partial clone lacks below a folder.
func (w *writer) complete(ctx context.Context, id string) error {
	if a, ok := w.tree.repo.source.(*asked); ok {
		return a.complete(ctx, id)
	}
	return nil
}

// submodule writes the files of a submodule, if its repository is here and has them.
func (w *writer) submodule(ctx context.Context, at string, e Entry) error {
	if err := w.root.MkdirAll(filepath.FromSlash(at), 0o755); err != nil {
		return err
	}
	of := w.tree.repo
	sub, err := Open(ctx, filepath.Join(of.Root, filepath.FromSlash(at)), Options{Itself: true, Offline: of.offline})
	if err != nil {
		return ctx.Err() // it is not checked out
	}
	files, err := sub.Tree(ctx, e.ID)
	if err != nil {
		return ctx.Err() // or without that commit
	}
	root, err := w.root.OpenRoot(filepath.FromSlash(at))
	if err != nil {
		return errors.Join(err, files.Close())
	}
	return errors.Join(files.Write(ctx, root, "."), root.Close(), files.Close())
}
