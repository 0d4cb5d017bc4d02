package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"fnb/schema"
	files "fnb/templates/tree"
)

// A Source is the handler of a function, as whoever published it had it.
type Source struct {
	Files fs.FS  // good until Close
	Lang  string // the template reference that it was built with

	close func()
}

// Close removes what Files are. The zero Source can be closed.
func (s Source) Close() {
	if s.close != nil {
		s.close()
	}
}

// Source gets the handler of a function: from fnb itself, or from the commit that
// its record names. A function whose record does not say where that is has none,
// which is a [*NotFoundError].
func (s *Store) Source(ctx context.Context, f Function) (Source, error) {
	missing := &NotFoundError{Kind: schema.KindFunction, Name: f.Record.Name, Err: errors.New("its record does not say what it was built from")}
	built := f.Record.Built
	if built == nil || built.Template == "" {
		return Source{}, missing
	}
	src := Source{Lang: built.Template, close: func() {}}
	if f.Package.Store == Official {
		var err error
		src.Files, err = fs.Sub(officialFiles, functionsDir+"/"+f.Record.Name)
		return src, err
	}
	if built.Git == nil || built.Git.Commit == "" {
		return Source{}, missing
	}
	if strings.HasPrefix(built.Git.URL, "file:") {
		if c, err := s.configured(f.Package.Store); err != nil || !c.isHere() {
			return Source{}, &RefusedError{Source: "store " + f.Package.Store, Path: f.Record.Name, Reason: "its repository would be a folder of this machine"}
		}
	}
	dir, err := s.within(s.reachOfPackage(f.Record.Name)).checkOut(ctx, *built.Git)
	if err != nil {
		return Source{}, fmt.Errorf("function %s: %w", f.Record.Name, err)
	}
	src.close = func() { _ = os.RemoveAll(dir) } // what is left of it is removed later
	root, err := os.OpenRoot(filepath.Join(dir, "files"))
	if err != nil {
		src.Close()
		return Source{}, err
	}
	src.Files = files.Folder(root)
	src.close = func() { _, _ = root.Close(), os.RemoveAll(dir) } // as above
	return src, nil
}

// checkOut writes a folder of a repository at a commit below a new folder of the
// cache, with the limits and refusals of a template.
func (s *Store) checkOut(ctx context.Context, from schema.GitSource) (dir string, err error) {
	r := &remote{store: s, url: from.URL}
	defer r.close()
	if r.offline() {
		return "", &OfflineError{Ref: from.URL}
	}
	if dir, err = s.cache.unfinished(); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir) // the error is known
		}
	}()
	at := commitAt{hash: from.Commit}
	objects, err := r.objects(ctx, &at, filepath.Join(dir, "objects"))
	if err != nil {
		return "", err
	}
	x := &extract{objects: objects, source: from.URL, limits: s.opts.Limits}
	root, err := x.root(at.hash)
	if err != nil {
		return "", err
	}
	if from.Path != "" && from.Path != "." {
		if root, err = root.Tree(from.Path); err != nil {
			return "", &NotFoundError{Kind: schema.KindFunction, Name: from.URL, Err: fmt.Errorf("commit %.12s has no folder %s", from.Commit, plainPath(from.Path))}
		}
	}
	return dir, x.write(ctx, root, filepath.Join(dir, "files"))
}
