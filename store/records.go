package store

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
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"fnb/gitrepo"
	"fnb/internal/plain"
	"fnb/schema"
)

const (
	storeFileName = "store.json"
	templatesDir  = "templates"
	functionsDir  = "functions"
	namespacesDir = "namespaces"
	versionsDir   = "v"
	packageFile   = "package.json"
	recordSuffix  = ".json"
	yankSuffix    = ".yank.json"
)

// kinds are what a store has.
func kinds() []string { return []string{schema.KindTemplate, schema.KindFunction} }

// kindDir is the folder of a store that has the packages of a kind.
func kindDir(kind string) string {
	if kind == schema.KindFunction {
		return functionsDir
	}
	return templatesDir
}

// hasPackages reports whether a folder of a store has packages.
func hasPackages(dir string) bool {
	return slices.ContainsFunc(kinds(), func(kind string) bool { return kindDir(kind) == dir })
}

// A recordTree is the files of a store, wherever they are. What is missing is
// [fs.ErrNotExist].
type recordTree interface {
	list(dir string) ([]recordEntry, error) // all there is, sorted by name
	read(name string) ([]byte, error)       // of a plain file; all else is missing
}

type recordEntry struct {
	name string
	dir  bool
}

// A gitTree is the files of a store at one commit. It keeps no more of them than
// the folders on the way to the last one, since a store has very many; so it is
// not safe for concurrent use.
type gitTree struct {
	root    *object.Tree
	objects storer.EncodedObjectStorer

	names []string // of the folders on the way
	way   []*object.Tree
}

// folder returns a folder of the store.
func (t *gitTree) folder(dir string) (*object.Tree, error) {
	if dir == "." {
		return t.root, nil
	}
	names := strings.Split(dir, "/")
	same := 0
	for same < len(names) && same < len(t.names) && names[same] == t.names[same] {
		same++
	}
	t.names, t.way = t.names[:same], t.way[:same]
	for _, name := range names[same:] {
		at := t.root
		if len(t.way) > 0 {
			at = t.way[len(t.way)-1]
		}
		e, ok := entryOf(at, name)
		if !ok || e.Mode != filemode.Dir {
			return nil, fs.ErrNotExist
		}
		sub, err := object.GetTree(t.objects, e.Hash)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", plainPath(dir), plain.Error(err))
		}
		t.names, t.way = append(t.names, name), append(t.way, sub)
	}
	return t.way[len(t.way)-1], nil
}

func entryOf(t *object.Tree, name string) (object.TreeEntry, bool) {
	i := slices.IndexFunc(t.Entries, func(e object.TreeEntry) bool { return e.Name == name })
	if i < 0 {
		return object.TreeEntry{}, false
	}
	return t.Entries[i], true
}

func (t *gitTree) list(dir string) ([]recordEntry, error) {
	sub, err := t.folder(dir)
	if err != nil {
		return nil, err
	}
	var all []recordEntry
	for _, e := range sub.Entries {
		all = append(all, recordEntry{e.Name, e.Mode == filemode.Dir})
	}
	slices.SortFunc(all, func(a, b recordEntry) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

func (t *gitTree) read(name string) ([]byte, error) {
	dir, err := t.folder(path.Dir(name))
	if err != nil {
		return nil, err
	}
	e, ok := entryOf(dir, path.Base(name))
	if !ok || !e.Mode.IsFile() || e.Mode == filemode.Symlink {
		return nil, fs.ErrNotExist
	}
	blob, err := object.GetBlob(t.objects, e.Hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) || err == nil && blob.Size > schema.MaxRecordSize {
		// The server was asked to leave out what is much too large.
		return nil, tooLarge(name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", plainPath(name), plain.Error(err))
	}
	r, err := blob.Reader()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", plainPath(name), plain.Error(err))
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*LimitError](err)
	return ok
}

func tooLarge(name string) error {
	return &LimitError{Source: plainPath(name), What: "the file has more bytes", Limit: schema.MaxRecordSize}
}

// An ownTree is the files of a store in a repository of this machine, at one commit.
type ownTree struct{ *gitrepo.Tree }

func (t ownTree) list(dir string) ([]recordEntry, error) {
	entries, err := t.List(dir)
	if err != nil {
		return nil, err
	}
	all := make([]recordEntry, 0, len(entries))
	for _, e := range entries {
		all = append(all, recordEntry{e.Name, e.Mode == gitrepo.Folder})
	}
	slices.SortFunc(all, func(a, b recordEntry) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

func (t ownTree) read(name string) ([]byte, error) {
	data, err := t.Read(name, schema.MaxRecordSize)
	if errors.Is(err, gitrepo.ErrTooLarge) {
		return nil, tooLarge(name)
	}
	return data, err
}

// A folderTree is the files of a store in a folder.
type folderTree struct{ root *os.Root }

func openFolderTree(dir string) (*folderTree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &folderTree{root}, nil
}

func (t *folderTree) list(dir string) ([]recordEntry, error) {
	entries, err := fs.ReadDir(t.root.FS(), dir)
	if err != nil {
		return nil, err
	}
	var all []recordEntry
	for _, e := range entries {
		all = append(all, recordEntry{e.Name(), e.IsDir()})
	}
	return all, nil
}

func (t *folderTree) read(name string) ([]byte, error) {
	file := filepath.FromSlash(name)
	if info, err := t.root.Lstat(file); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist // opening a pipe would wait for its other end
	}
	f, err := t.root.Open(file)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, schema.MaxRecordSize+1))
	if len(data) > schema.MaxRecordSize {
		err = tooLarge(name)
	}
	return data, errors.Join(err, f.Close())
}

// An indexed version is a record with what became of it.
type indexed struct {
	schema.Record
	Yanked     *schema.Yank        `json:"yanked,omitempty"`
	Deprecated *schema.Deprecation `json:"deprecated,omitempty"`
	OpenFaaS   *openFaaSEntry      `json:"openfaas,omitempty"` // instead of all else: an entry of OpenFaaS' list

	raw []byte // the record's file, where that was read
}

// A pack is one package of a store, its versions ascending and never none.
type pack struct {
	name     string // namespace/name
	about    schema.Package
	versions []indexed
}

// kind is what the package's versions are.
func (p pack) kind() string { return p.versions[0].Kind }

// A fileProblem is a file of a store that was passed over.
type fileProblem struct {
	file string
	err  error
}

// A scan reads a store's files.
type scan struct {
	tree    recordTree
	problem func(file string, err error) // is told of each file that is passed over
}

// check returns an error unless the files are those of a store.
func (s *scan) check(where string) error {
	data, err := s.tree.read(storeFileName)
	if errors.Is(err, fs.ErrNotExist) {
		return &NoStoreError{Name: where, Err: errors.New("it is not a store: it has no " + storeFileName)}
	}
	if err != nil {
		return err
	}
	_, err = schema.ParseStoreFile(storeFileName, data)
	return err
}

// into is the store's packages as an index takes them.
func (s *scan) into(ctx context.Context) feed {
	return func(add func(pack) error, pass func(string, error)) error {
		return s.packages(ctx, add, pass)
	}
}

// packages gives each package of the store, by kind and name, to each. A file that
// is damaged, or that only a later fnb understands, is passed over, which pass is told.
func (s *scan) packages(ctx context.Context, each func(pack) error, pass func(file string, err error)) error {
	s.problem = pass
	for _, kind := range kinds() {
		if err := s.packagesOf(ctx, kind, each); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) packagesOf(ctx context.Context, kind string, each func(pack) error) error {
	root := kindDir(kind)
	spaces, err := s.tree.list(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, ns := range spaces {
		if !ns.dir {
			continue
		}
		names, err := s.tree.list(path.Join(root, ns.name))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			full := ns.name + "/" + name.name
			if !name.dir {
				continue
			}
			if err := schema.ValidatePackageName(full); err != nil {
				s.problem(root+"/"+full, err)
				continue
			}
			p, err := s.pack(kind, full)
			if err != nil {
				return err
			}
			if len(p.versions) == 0 {
				continue
			}
			if err := each(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// pack reads one package.
func (s *scan) pack(kind, name string) (pack, error) {
	p := pack{name: name}
	dir := path.Join(kindDir(kind), name)
	data, err := s.tree.read(path.Join(dir, packageFile))
	switch {
	case err == nil:
		if p.about, err = schema.ParsePackage(path.Join(dir, packageFile), data); err != nil {
			s.problem(path.Join(dir, packageFile), err)
		}
	case isTooLarge(err):
		s.problem(path.Join(dir, packageFile), err)
	case !errors.Is(err, fs.ErrNotExist):
		return p, err
	}
	files, err := s.tree.list(path.Join(dir, versionsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	yanks := map[string]*schema.Yank{}
	for _, f := range files {
		file := path.Join(dir, versionsDir, f.name)
		version, isYank := strings.CutSuffix(f.name, yankSuffix)
		if !isYank {
			var isRecord bool
			if version, isRecord = strings.CutSuffix(f.name, recordSuffix); !isRecord {
				continue
			}
		}
		if f.dir || schema.ValidateVersion(version) != nil {
			continue
		}
		data, err := s.tree.read(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = errors.New("it is not a plain file")
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
		p.versions = append(p.versions, indexed{Record: rec, Deprecated: p.about.Deprecated, raw: data})
	}
	for i := range p.versions {
		p.versions[i].Yanked = yanks[p.versions[i].Version]
	}
	slices.SortFunc(p.versions, func(a, b indexed) int { return compareVersions(a.Version, b.Version) })
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
		return rec, &schema.FieldError{File: file, Field: "kind", Problem: fmt.Sprintf("is %q, but the folder is of the kind %q", rec.Kind, of.Kind)}
	case rec.Name != of.Name:
		return rec, &schema.FieldError{File: file, Field: "name", Problem: fmt.Sprintf("is %q, but the folder is of %q", rec.Name, of.Name)}
	case rec.Version != of.Version:
		return rec, &schema.FieldError{File: file, Field: "vers", Problem: fmt.Sprintf("is %q, but the file is of %q", rec.Version, of.Version)}
	}
	return rec, nil
}

// compareVersions compares two versions that are known to be SemVer.
func compareVersions(a, b string) int {
	va, errA := semver.StrictNewVersion(a)
	vb, errB := semver.StrictNewVersion(b)
	if errA != nil || errB != nil {
		return strings.Compare(a, b)
	}
	return va.Compare(vb)
}
