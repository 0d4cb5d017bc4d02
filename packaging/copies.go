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

// addCopies adds what Copy names, below the handler: each at the place it has relative
// to the stack file's folder, and what is elsewhere under its own name.
func (a *assembly) addCopies(ctx context.Context) error {
	paths, err := copyPaths(a.in.Copy)
	if err != nil || len(paths) == 0 {
		return err
	}
	taken := make(map[string]bool, len(a.entries))
	for _, e := range a.entries {
		taken[e.Path] = true
	}
	for _, p := range paths {
		entries, err := a.copied(ctx, p)
		if err != nil {
			return fmt.Errorf("copy %s: %w", p, err)
		}
		for _, e := range entries {
			e.Path = path.Join(a.folder, e.Path)
			if taken[e.Path] {
				return fmt.Errorf("copy %s: %w", p, &tree.PathError{Path: e.Path, Reason: "the handler has a file of this name too"})
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
func (a *assembly) circular(full string) error {
	if below, err := filepath.Rel(full, a.dir); err != nil || !filepath.IsLocal(below) {
		return nil
	}
	return fmt.Errorf("the handler %s is in it, and would be copied into itself", a.in.Function.Handler)
}

// copied returns the entries of one path to copy: a file, or a folder and what
// is in it.
func (a *assembly) copied(ctx context.Context, name string) ([]tree.Entry, error) {
	full, err := a.reach().Path(name)
	if err != nil {
		return nil, err
	}
	if err := a.circular(full); err != nil {
		return nil, err
	}
	place := name
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		place = filepath.Base(full)
	}
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no such file or folder: %w", fs.ErrNotExist)
	case err != nil:
		return nil, err
	case info.IsDir():
		return a.copiedFolder(ctx, full, place)
	case a.secret(full, "", place), a.login(full, "", place):
		return nil, nil
	}
	root, err := os.OpenRoot(filepath.Dir(full))
	if err != nil {
		return nil, err
	}
	e, err := tree.File(tree.FolderAt(root, filepath.Dir(full)), filepath.Base(full), place)
	return []tree.Entry{e}, err
}

// copiedFolder returns the entries of a folder to copy, which goes to place.
func (a *assembly) copiedFolder(ctx context.Context, full, place string) ([]tree.Entry, error) {
	root, err := os.OpenRoot(full)
	if err != nil {
		return nil, err
	}
	entries, err := tree.Scan{Skip: func(file string, folder bool) (bool, error) {
		return a.secret(full, file, place) || !folder && a.login(full, file, path.Join(place, file)), nil
	}}.Entries(ctx, tree.FolderAt(root, full))
	if err != nil {
		return nil, err
	}
	for i := range entries {
		entries[i].Path = path.Join(place, entries[i].Path)
	}
	return entries, nil
}
