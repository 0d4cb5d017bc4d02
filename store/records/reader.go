package records

import (
	"context"
	"fmt"
	"io/fs"
	"sync"

	"fnb/internal/plain"
	"fnb/schema"
)

// A Reader reads the records of a store in a folder of this machine, as HEAD has it or, without
// git, as it is. They are read when they are asked for, since a store has very many,
// and can be used at the same time.
type Reader struct {
	mu    sync.Mutex // git's objects are for one at a time
	scan  *Scanner
	done  func()
	judge func(StoredPackage) StoredPackage // nil where nobody judges
}

// Judge has what the reader gives judged, which an index that it generates is not: whoever reads that
// judges for himself. by gets the namespaces that have keys.
func (r *Reader) Judge(by func(Spaces) func(StoredPackage) StoredPackage) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	spaces, err := r.scan.Spaces()
	if err == nil && len(spaces.Owners) > 0 {
		r.judge = by(spaces)
	}
	return err
}

// shown is a package as the reader gives it.
func (r *Reader) shown(p StoredPackage) Package {
	if r.judge != nil {
		p = r.judge(p)
	}
	return p.Exported("")
}

// Open opens the store in the folder dir, until ctx ends. Close has to be called.
func Open(ctx context.Context, dir string) (*Reader, error) {
	tree, done, err := OpenTree(ctx, dir)
	if err != nil {
		return nil, err
	}
	r := &Reader{scan: &Scanner{Tree: tree}, done: done}
	if err := r.scan.Check(dir); err != nil {
		done()
		return nil, err
	}
	return r, nil
}

// Close closes what the records are read from.
func (r *Reader) Close() { r.done() }

// About returns what the store says of itself.
func (r *Reader) About() (schema.StoreFile, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	data, err := r.scan.Tree.Read(StoreFileName)
	if err != nil {
		return schema.StoreFile{}, err
	}
	return schema.ParseStoreFile(StoreFileName, data)
}

// Each gives each package of the store to each: by kind and name, the templates first.
// It returns what was passed over.
func (r *Reader) Each(ctx context.Context, each func(Package) error) (passed []string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.scan.Packages(ctx, func(p StoredPackage) error { return each(r.shown(p)) }, func(file string, err error) {
		passed = append(passed, plain.Short(file+": "+err.Error()))
	})
	return passed, err
}

// Package returns one package; where the store has none of it, the error wraps
// [fs.ErrNotExist].
func (r *Reader) Package(kind, name string) (Package, error) {
	if err := schema.ValidatePackageName(name); err != nil {
		return Package{}, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scan.problem = func(string, error) {} // Each tells of them
	p, err := r.scan.readPackage(kind, name)
	if err == nil && len(p.Versions) == 0 {
		err = fmt.Errorf("%s %s: %w", kind, name, fs.ErrNotExist)
	}
	if err != nil {
		return Package{}, err
	}
	return r.shown(p), nil
}
