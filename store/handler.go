package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/templates"
	files "fnb/templates/tree"
)

// A Handler is the handler of a function, as whoever published it had it.
type Handler struct {
	Files fs.FS  // good until Close
	Lang  string // the template reference that it was built with

	close func()
}

// Close removes what Files are. The zero Handler can be closed.
func (s Handler) Close() {
	if s.close != nil {
		s.close()
	}
}

// Handler gets the handler of a function: from fnb itself, or from the commit that
// its record names. A function whose record does not say where that is has none,
// which is a [*NotFoundError].
func (s *Finder) Handler(ctx context.Context, f Function) (Handler, error) {
	missing := &NotFoundError{Kind: schema.KindFunction, Name: f.Record.Name, Err: errors.New("its record does not say what it was built from")}
	built := f.Record.Built
	if built == nil || built.Template == "" {
		return Handler{}, missing
	}
	src := Handler{Lang: built.Template, close: func() {}}
	if f.Package.Store == Official {
		var err error
		src.Files, err = fs.Sub(officialFiles, "functions/"+f.Record.Name)
		return src, err
	}
	if built.Git == nil || built.Git.Commit == "" {
		return Handler{}, missing
	}
	c, err := s.Store(f.Package.Store)
	if err != nil {
		c = Store{Name: f.Package.Store}
	}
	if err := c.mayName(f.Record.Name, built.Git.URL); err != nil {
		return Handler{}, err
	}
	dir, err := s.within(s.reachOfPackage(f.Record.Name)).CheckOut(ctx, *built.Git)
	if err != nil {
		return Handler{}, fmt.Errorf("function %s: %w", f.Record.Name, err)
	}
	src.close = func() { _ = os.RemoveAll(dir) } // what is left of it is removed later
	root, err := os.OpenRoot(filepath.Join(dir, "files"))
	if err != nil {
		src.Close()
		return Handler{}, err
	}
	src.Files = files.Folder(root)
	src.close = func() { _, _ = root.Close(), os.RemoveAll(dir) } // as above
	return src, nil
}

// CheckOut writes a folder of a repository at a commit below a new folder of the
// cache, with the limits and refusals of a template.
func (s *Finder) CheckOut(ctx context.Context, from schema.GitSource) (dir string, err error) {
	if s.mayNotAsk(from.URL) {
		return "", &OfflineError{What: "function " + from.URL}
	}
	r := s.git.Open(from.URL)
	defer r.Close()
	if dir, err = s.cache.Unfinished(); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir) // the error is known
		}
	}()
	root, err := r.Fetch(ctx, from.Commit, filepath.Join(dir, "objects"))
	if err != nil {
		return "", asNotFound("", err)
	}
	if from.Path != "" && from.Path != "." {
		var ok bool
		if root, ok = root.At(from.Path); !ok {
			return "", &NotFoundError{Kind: schema.KindFunction, Name: from.URL, Err: fmt.Errorf("commit %.12s has no folder %s", from.Commit, plain.Path(from.Path))}
		}
	}
	return dir, root.Write(ctx, filepath.Join(dir, "files"))
}

// FetchTemplate gets the files that a record names.
func (s *Finder) FetchTemplate(ctx context.Context, src schema.GitSource) (*templates.Template, error) {
	if src.Path == "" {
		src.Path = "."
	}
	l := &lookup{finder: s, kind: schema.KindTemplate, ref: src.URL}
	f, err := l.fromGit(ctx, gitWant{url: src.URL, path: src.Path, ref: src.Commit})
	return f.template, err
}
