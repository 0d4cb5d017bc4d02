package records

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"fnb/gitrepo"
	"fnb/internal/plain"
	"fnb/schema"
	"fnb/schema/document"
	"fnb/store/git"
)

// Names of files and folders in a store (docs/store.md).
const (
	StoreFileName = "store.json"
	templatesDir  = "templates"
	functionsDir  = "functions"
	NamespacesDir = "namespaces"
	VersionsDir   = "v"
	PackageFile   = "package.json"
	RecordSuffix  = ".json"
	YankSuffix    = ".yank.json"
)

// Kinds are what a store has.
func Kinds() []string { return []string{schema.KindTemplate, schema.KindFunction} }

// KindDir is the folder of a store that has the packages of a kind.
func KindDir(kind string) string {
	if kind == schema.KindFunction {
		return functionsDir
	}
	return templatesDir
}

// HasPackages reports whether a folder of a store has packages.
func HasPackages(dir string) bool {
	return slices.ContainsFunc(Kinds(), func(kind string) bool { return KindDir(kind) == dir })
}

// A Tree is the files of a store, wherever they are. What is missing is
// [fs.ErrNotExist].
type Tree interface {
	List(dir string) ([]TreeEntry, error) // all there is, sorted by name
	Read(name string) ([]byte, error)     // of a plain file; all else is missing
}

// ErrNotPlain says that what should be a file of a store is a link, a submodule or a pipe.
var ErrNotPlain = errors.New("it is not a plain file")

// A TreeEntry is a file or folder of a store.
type TreeEntry struct {
	Name  string
	Dir   bool
	Plain bool // a file that Read reads; a link, a submodule or a pipe is neither
}

// A GitTree is the files of a store at one commit of a repository elsewhere.
type GitTree struct{ *git.Tree }

// List implements [Tree].
func (t GitTree) List(dir string) ([]TreeEntry, error) {
	entries, err := t.Tree.List(dir)
	if err != nil {
		return nil, err
	}
	all := make([]TreeEntry, 0, len(entries))
	for _, e := range entries {
		all = append(all, TreeEntry{e.Name, e.Folder, e.Plain})
	}
	return all, nil
}

// Read implements [Tree].
func (t GitTree) Read(name string) ([]byte, error) {
	data, err := t.Tree.Read(name, schema.MaxRecordSize)
	if errors.Is(err, git.ErrTooLarge) {
		return nil, tooLarge(name)
	}
	return data, err
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*git.LimitError](err)
	return ok
}

func tooLarge(name string) error {
	return &git.LimitError{Source: plain.Path(name), What: "the file has more bytes", Limit: schema.MaxRecordSize}
}

// An OwnTree is the files of a store in a repository of this machine, at one commit.
type OwnTree struct{ *gitrepo.Tree }

// List implements [Tree].
func (t OwnTree) List(dir string) ([]TreeEntry, error) {
	entries, err := t.Tree.List(dir)
	if err != nil {
		return nil, err
	}
	all := make([]TreeEntry, 0, len(entries))
	for _, e := range entries {
		all = append(all, TreeEntry{e.Name, e.Mode == gitrepo.Folder, e.Mode.IsFile()})
	}
	slices.SortFunc(all, func(a, b TreeEntry) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Read implements [Tree].
func (t OwnTree) Read(name string) ([]byte, error) {
	data, err := t.Tree.Read(name, schema.MaxRecordSize)
	if errors.Is(err, gitrepo.ErrTooLarge) {
		return nil, tooLarge(name)
	}
	return data, err
}

// A FolderTree is the files of a store in a folder.
type FolderTree struct{ Root *os.Root }

// OpenFolder opens the files of a store in a folder. Its root has to be closed.
func OpenFolder(dir string) (*FolderTree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &FolderTree{root}, nil
}

// List implements [Tree].
func (t *FolderTree) List(dir string) ([]TreeEntry, error) {
	entries, err := fs.ReadDir(t.Root.FS(), dir)
	if err != nil {
		return nil, err
	}
	var all []TreeEntry
	for _, e := range entries {
		all = append(all, TreeEntry{e.Name(), e.IsDir(), e.Type().IsRegular()})
	}
	return all, nil
}

// Read implements [Tree].
func (t *FolderTree) Read(name string) ([]byte, error) {
	file := filepath.FromSlash(name)
	if info, err := t.Root.Lstat(file); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist // opening a pipe would wait for its other end
	}
	f, err := t.Root.Open(file)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, schema.MaxRecordSize+1))
	if len(data) > schema.MaxRecordSize {
		err = tooLarge(name)
	}
	return data, errors.Join(err, f.Close())
}

// A StoredVersion is a record with what became of it.
type StoredVersion struct {
	schema.Record
	Yanked     *schema.Yank        `json:"yanked,omitempty"`
	Deprecated *schema.Deprecation `json:"deprecated,omitempty"`
	OpenFaaS   *OpenFaaSTemplate   `json:"openfaas,omitempty"` // instead of all else: an entry of OpenFaaS' list

	raw []byte // the record's file, where that was read
}

// A StoredPackage is one package of a store, its versions ascending and never none.
type StoredPackage struct {
	Name     string // namespace/name
	About    schema.Package
	Versions []StoredVersion
}

// Kind is what the package's versions are.
func (p StoredPackage) Kind() string { return p.Versions[0].Kind }

// A Problem is a file of a store that was passed over.
type Problem struct {
	File string
	Err  error
}

// A Scanner reads a store's files.
type Scanner struct {
	Tree    Tree
	problem func(file string, err error) // is told of each file that is passed over
}

// Check returns an error unless the files are those of a store.
func (s *Scanner) Check(where string) error {
	data, err := s.Tree.Read(StoreFileName)
	if errors.Is(err, fs.ErrNotExist) {
		return &NoStoreError{Name: where, Err: errors.New("it is not a store: it has no " + StoreFileName)}
	}
	if err != nil {
		return err
	}
	_, err = schema.ParseStoreFile(StoreFileName, data)
	return err
}

// Feed is the store's packages as an index takes them.
func (s *Scanner) Feed(ctx context.Context) Feed {
	return func(add func(StoredPackage) error, pass func(string, error)) error {
		return s.Packages(ctx, add, pass)
	}
}

// Packages gives each package of the store, by kind and name, to each. A file that
// is damaged, or that only a later fnb understands, is passed over, which pass is told.
func (s *Scanner) Packages(ctx context.Context, each func(StoredPackage) error, pass func(file string, err error)) error {
	s.problem = pass
	for _, kind := range Kinds() {
		if err := s.packagesOf(ctx, kind, each); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scanner) packagesOf(ctx context.Context, kind string, each func(StoredPackage) error) error {
	root := KindDir(kind)
	spaces, err := s.Tree.List(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, ns := range spaces {
		if !ns.Dir {
			continue
		}
		names, err := s.Tree.List(path.Join(root, ns.Name))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			full := ns.Name + "/" + name.Name
			if !name.Dir {
				continue
			}
			if err := schema.ValidatePackageName(full); err != nil {
				s.problem(root+"/"+full, err)
				continue
			}
			p, err := s.readPackage(kind, full)
			if err != nil {
				return err
			}
			if len(p.Versions) == 0 {
				continue
			}
			if err := each(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// isThere reports whether a folder has a name, whatever that is.
func (s *Scanner) isThere(dir, name string) bool {
	entries, err := s.Tree.List(dir)
	return err == nil && slices.ContainsFunc(entries, func(e TreeEntry) bool { return e.Name == name })
}

// readPackage reads one package.
func (s *Scanner) readPackage(kind, name string) (StoredPackage, error) {
	p := StoredPackage{Name: name}
	dir := path.Join(KindDir(kind), name)
	data, err := s.Tree.Read(path.Join(dir, PackageFile))
	if errors.Is(err, fs.ErrNotExist) && s.isThere(dir, PackageFile) {
		err = ErrNotPlain
	}
	switch {
	case err == nil:
		if p.About, err = schema.ParsePackage(path.Join(dir, PackageFile), data); err != nil {
			s.problem(path.Join(dir, PackageFile), err)
		}
	case isTooLarge(err), errors.Is(err, ErrNotPlain):
		s.problem(path.Join(dir, PackageFile), err)
	case !errors.Is(err, fs.ErrNotExist):
		return p, err
	}
	files, err := s.Tree.List(path.Join(dir, VersionsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	yanks := map[string]*schema.Yank{}
	for _, f := range files {
		file := path.Join(dir, VersionsDir, f.Name)
		version, isYank := strings.CutSuffix(f.Name, YankSuffix)
		if !isYank {
			var isRecord bool
			if version, isRecord = strings.CutSuffix(f.Name, RecordSuffix); !isRecord {
				continue
			}
		}
		if f.Dir || schema.ValidateVersion(version) != nil {
			continue
		}
		data, err := s.Tree.Read(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = ErrNotPlain
		case err != nil && !isTooLarge(err):
			return p, err
		}
		if err != nil {
			s.problem(file, err)
			if isYank {
				yanks[version] = unreadableYank()
			}
			continue
		}
		if isYank {
			y := readYank(file, data, s.problem)
			yanks[version] = &y
			continue
		}
		rec, err := readRecord(file, data, schema.Record{Kind: kind, Name: name, Version: version})
		if err != nil {
			s.problem(file, err)
			continue
		}
		p.Versions = append(p.Versions, StoredVersion{Record: rec, Deprecated: p.About.Deprecated, raw: data})
	}
	for i := range p.Versions {
		p.Versions[i].Yanked = yanks[p.Versions[i].Version]
	}
	slices.SortFunc(p.Versions, func(a, b StoredVersion) int { return CompareVersions(a.Version, b.Version) })
	return p, nil
}

// readYank reads why a version was withdrawn. Where that cannot be read, which pass is
// told, the version is not to be used all the same.
func readYank(file string, data []byte, pass func(file string, err error)) schema.Yank {
	y, err := schema.ParseYank(file, data)
	if err != nil {
		pass(file, err)
		return *unreadableYank()
	}
	return y
}

func unreadableYank() *schema.Yank {
	return &schema.Yank{V: schema.RecordVersion, Reason: "no reason that this fnb can read"}
}

// readRecord reads a record, which has to be of what its file is named for.
func readRecord(file string, data []byte, of schema.Record) (schema.Record, error) {
	rec, err := schema.ParseRecord(file, data)
	switch {
	case err != nil:
		return rec, err
	case rec.Kind != of.Kind:
		return rec, &document.FieldError{File: file, Field: "kind", Problem: fmt.Sprintf("is %q, but the folder is of the kind %q", rec.Kind, of.Kind)}
	case rec.Name != of.Name:
		return rec, &document.FieldError{File: file, Field: "name", Problem: fmt.Sprintf("is %q, but the folder is of %q", rec.Name, of.Name)}
	case rec.Version != of.Version:
		return rec, &document.FieldError{File: file, Field: "vers", Problem: fmt.Sprintf("is %q, but the file is of %q", rec.Version, of.Version)}
	}
	return rec, nil
}

// CompareVersions compares two versions that are known to be SemVer.
func CompareVersions(a, b string) int {
	va, errA := semver.StrictNewVersion(a)
	vb, errB := semver.StrictNewVersion(b)
	if errA != nil || errB != nil {
		return strings.Compare(a, b)
	}
	return va.Compare(vb)
}

// A Feed gives each package of a store, by name, to add, and what it passes over to
// pass.
type Feed func(add func(StoredPackage) error, pass func(file string, err error)) error

// A NoStoreError says that no configured store has a name, or that what is at an
// address is no store.
type NoStoreError struct {
	Name string   // or the address
	Near []string // names that may have been meant, best first
	Err  error    // what is wrong with the address; nil for a name
}

func (e *NoStoreError) Error() string {
	if e.Err != nil {
		return e.Name + ": " + e.Err.Error()
	}
	return fmt.Sprintf("there is no store %q", e.Name)
}

// Unwrap returns what is wrong with the address.
func (e *NoStoreError) Unwrap() error { return e.Err }

// A BareError says that the folder that is named as a store is a git repository without a
// checkout, which has an address instead.
type BareError struct{ Path string }

func (e *BareError) Error() string {
	return "it is a git repository without a checkout"
}
