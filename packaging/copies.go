package packaging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"fnb/templates/tree"
)

// inside reports whether a slash-separated path lies below a folder.
func inside(folder, name string) bool {
	return folder == "." || strings.HasPrefix(name, folder+"/")
}

// addCopies adds what Copy names, each at the place it has relative to the
// stack file's folder, below the handler.
func (a *assembly) addCopies(ctx context.Context) error {
	paths, err := copyPaths(a.in.Copy)
	if err != nil || len(paths) == 0 {
		return err
	}
	at, err := filepath.Abs(a.in.Root)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	root, err := os.OpenRoot(at)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	taken := make(map[string]bool, len(a.entries))
	for _, e := range a.entries {
		taken[e.Path] = true
	}
	for _, p := range paths {
		if err := a.circular(at, p); err != nil {
			return fmt.Errorf("copy %s: %w", p, err)
		}
		entries, err := a.copied(ctx, root, at, p)
		if err != nil {
			return fmt.Errorf("copy %s: %w", p, err)
		}
		for _, e := range entries {
			e.Path = path.Join(a.folder, e.Path)
			if taken[e.Path] {
				return fmt.Errorf("copy %s: %w", p, &tree.PathError{Path: e.Path, Reason: "the handler has one too"})
			}
			a.entries = append(a.entries, e)
		}
	}
	return nil
}

// copyPaths returns the paths to copy, cleaned and sorted, each once and none
// below another.
func copyPaths(list []string) ([]string, error) {
	var paths []string
	for _, p := range list {
		clean := path.Clean(filepath.ToSlash(p))
		switch {
		case p == "":
			return nil, errors.New("copy: a path is empty")
		case clean == ".":
			return nil, fmt.Errorf("copy %s: it is the stack file's folder itself", p)
		case !fs.ValidPath(clean) || !filepath.IsLocal(filepath.FromSlash(clean)):
			return nil, fmt.Errorf("copy %s: it is not inside the stack file's folder", p)
		}
		paths = append(paths, clean)
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	all := slices.Clone(paths)
	return slices.DeleteFunc(paths, func(p string) bool {
		return slices.ContainsFunc(all, func(other string) bool { return strings.HasPrefix(p, other+"/") })
	}), nil
}

// circular refuses to copy a folder that the handler lies in, which would put
// the handler into itself.
func (a *assembly) circular(at, name string) error {
	full, err := filepath.EvalSymlinks(filepath.Join(at, filepath.FromSlash(name)))
	if err != nil {
		return nil // reading it says why
	}
	if below, err := filepath.Rel(full, a.dir); err != nil || !filepath.IsLocal(below) {
		return nil
	}
	return fmt.Errorf("the handler %s is in it, and would be copied into itself", a.in.Function.Handler)
}

// copied returns the entries of one path to copy: a file, or a folder and what
// is in it. The root's absolute path is at.
func (a *assembly) copied(ctx context.Context, root *os.Root, at, name string) ([]tree.Entry, error) {
	from := filepath.Join(at, filepath.FromSlash(name))
	full, err := filepath.EvalSymlinks(from)
	if err != nil {
		full = from // reading it says why
	}
	info, err := root.Stat(filepath.FromSlash(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no such file or folder: %w", fs.ErrNotExist)
	case err != nil:
		return nil, errors.New("it is not inside the stack file's folder")
	case !info.IsDir() && a.secret(full, "", name):
		return nil, nil
	case !info.IsDir():
		e, err := tree.File(tree.FolderAt(root, at), name, name)
		return []tree.Entry{e}, err
	}
	below, err := root.OpenRoot(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	entries, err := tree.Scan{Skip: func(file string, _ bool) (bool, error) {
		return a.secret(full, file, name), nil
	}}.Entries(ctx, tree.FolderAt(below, from))
	if err != nil {
		return nil, err
	}
	for i := range entries {
		entries[i].Path = path.Join(name, entries[i].Path)
	}
	return entries, nil
}
