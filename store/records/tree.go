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
	"strconv"
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
	// SignatureSuffix ends the name of the file with the signatures of another, in the place of .json.
	SignatureSuffix = ".sig"
)

// SignatureOf is the name of the file with the signatures of a file of a store.
func SignatureOf(file string) string { return strings.TrimSuffix(file, RecordSuffix) + SignatureSuffix }

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
	// Signer is who signed the record, and may; nil where nobody has, or nobody must.
	Signer *Signer `json:"signer,omitempty"`
	// Refused is why the version is not to be used: it is not signed as its namespace wants it.
	Refused string `json:"refused,omitempty"`
	// Proof tells the record, its signatures and the owners that were compared from any other.
	Proof string `json:"proof,omitempty"`

	// Of the record and of its withdrawal, as far as they were read.
	Evidence     Evidence `json:"-"`
	YankEvidence Evidence `json:"-"`
}

// Evidence is a file of a store as it is, and the file with its signatures; nil for none.
type Evidence struct{ Data, Signature []byte }

// A Signer is whose signature a record has.
type Signer struct {
	Name string `json:"name,omitempty"` // as the namespace's owners call the key
	Key  string `json:"key,omitempty"`  // its fingerprint, such as SHA256:…
	// Vouched says that no key of now has signed, and that the namespace's owners say
	// that the record is good.
	Vouched bool `json:"vouched,omitempty"`
}

// String is the signer in words.
func (s Signer) String() string {
	if s.Vouched {
		return "vouched for by the owners"
	}
	return s.Name + " " + s.Key
}

// A StoredPackage is one package of a store, its versions ascending and never none.
type StoredPackage struct {
	Name     string // namespace/name
	About    schema.Package
	Versions []StoredVersion
	Evidence Evidence // of About
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
	return func(to Taker) error {
		spaces, err := s.Spaces()
		if err == nil && len(spaces.Owners) > 0 && to.Spaces != nil {
			err = to.Spaces(spaces)
		}
		if err != nil {
			return err
		}
		return s.Packages(ctx, to.Add, to.Pass)
	}
}

// OwnersFile is the file with the owners of a namespace that have the number n.
func OwnersFile(ns string, n int) string {
	return path.Join(NamespacesDir, ns, strconv.Itoa(n)+RecordSuffix)
}

// Spaces reads who owns the namespaces that have keys. What is damaged is there as it is.
func (s *Scanner) Spaces() (Spaces, error) {
	all, total := Spaces{Owners: map[string][]Evidence{}}, 0
	spaces, err := s.Tree.List(NamespacesDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return all, err
	}
	for _, ns := range spaces {
		if !ns.Dir || schema.ValidateName(ns.Name) != nil {
			continue
		}
		owners, err := s.Owners(ns.Name)
		if err != nil {
			return all, err
		}
		if len(owners) > 0 {
			all.Owners[ns.Name] = owners
		}
		for _, e := range owners {
			total += len(e.Data) + len(e.Signature)
		}
		if total > maxSpaces {
			return all, &git.LimitError{Source: NamespacesDir, What: "the owners of all namespaces have more bytes", Limit: maxSpaces}
		}
	}
	if len(all.Owners) == 0 {
		return all, nil
	}
	data, err := s.Tree.Read(StoreFileName)
	if err != nil {
		return all, err
	}
	about, err := schema.ParseStoreFile(StoreFileName, data)
	all.Origin = about.Origin
	return all, err
}

const (
	maxOwners = 1000     // bounds how often the owners of a namespace may change
	maxSpaces = 64 << 20 // bounds the owners of all namespaces, in bytes: they are in memory at once
)

// Owners reads the owners of one namespace, from the first on; none where it has no keys.
func (s *Scanner) Owners(ns string) ([]Evidence, error) {
	var all []Evidence
	for n := 1; ; n++ {
		file := OwnersFile(ns, n)
		data, err := s.Tree.Read(file)
		if errors.Is(err, fs.ErrNotExist) {
			return all, nil
		}
		if n > maxOwners {
			err = &git.LimitError{Source: plain.Path(path.Dir(file)), What: "the namespace has more owners, one after the other", Limit: maxOwners}
		}
		if err != nil {
			return all, err
		}
		signature, err := s.Tree.Read(SignatureOf(file))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !isTooLarge(err) {
			return all, err
		}
		all = append(all, Evidence{Data: data, Signature: signature})
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
	if err := s.readAbout(&p, dir); err != nil {
		return p, err
	}
	files, err := s.Tree.List(path.Join(dir, VersionsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	yanks, signatures := map[string]StoredVersion{}, map[string][]byte{}
	for _, f := range files {
		version, suffix := splitVersion(f.Name)
		if f.Dir || suffix == "" || schema.ValidateVersion(version) != nil {
			continue
		}
		file := path.Join(dir, VersionsDir, f.Name)
		data, err := s.Tree.Read(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = ErrNotPlain
		case err != nil && !isTooLarge(err):
			return p, err
		}
		if err != nil {
			s.problem(file, err)
			if suffix == YankSuffix {
				yanks[version] = StoredVersion{Yanked: unreadableYank()}
			}
			continue
		}
		switch suffix {
		case SignatureSuffix, yankSignatureSuffix:
			signatures[f.Name] = data
		case YankSuffix:
			y := readYank(file, data, s.problem)
			yanks[version] = StoredVersion{Yanked: &y, YankEvidence: Evidence{Data: data}}
		default:
			rec, err := readRecord(file, data, schema.Record{Kind: kind, Name: name, Version: version})
			if err != nil {
				s.problem(file, err)
				continue
			}
			p.Versions = append(p.Versions, StoredVersion{Record: rec, Deprecated: p.About.Deprecated, Evidence: Evidence{Data: data}})
		}
	}
	for i := range p.Versions {
		v := &p.Versions[i]
		v.Yanked, v.YankEvidence = yanks[v.Version].Yanked, yanks[v.Version].YankEvidence
		v.Evidence.Signature, v.YankEvidence.Signature = signatures[v.Version+SignatureSuffix], signatures[v.Version+yankSignatureSuffix]
	}
	slices.SortFunc(p.Versions, func(a, b StoredVersion) int { return CompareVersions(a.Version, b.Version) })
	return p, nil
}

// yankSignatureSuffix ends the name of the file with the signatures of a withdrawal.
const yankSignatureSuffix = ".yank" + SignatureSuffix

// splitVersion splits the name of a file of versions into the version and what it is of it; ""
// for what is none of them.
func splitVersion(name string) (version, suffix string) {
	for _, suffix := range []string{YankSuffix, yankSignatureSuffix, RecordSuffix, SignatureSuffix} {
		if version, ok := strings.CutSuffix(name, suffix); ok {
			return version, suffix
		}
	}
	return "", ""
}

// readAbout reads what a package says of itself, and its signatures.
func (s *Scanner) readAbout(p *StoredPackage, dir string) error {
	file := path.Join(dir, PackageFile)
	data, err := s.Tree.Read(file)
	if errors.Is(err, fs.ErrNotExist) && s.isThere(dir, PackageFile) {
		err = ErrNotPlain
	}
	switch {
	case err == nil:
		p.Evidence.Data = data
		if p.About, err = schema.ParsePackage(file, data); err != nil {
			s.problem(file, err)
		}
	case isTooLarge(err), errors.Is(err, ErrNotPlain):
		s.problem(file, err)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if p.About.Deprecated == nil {
		return nil // nobody asks who says so
	}
	p.Evidence.Signature, err = s.Tree.Read(SignatureOf(file))
	if errors.Is(err, fs.ErrNotExist) || isTooLarge(err) {
		err = nil // it is as if there were none
	}
	return err
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

// A Feed gives what a store has to a [Taker]: the namespaces first, then each package by name.
type Feed func(to Taker) error

// A Taker takes what a store has.
type Taker struct {
	// Spaces takes the namespaces that have keys; it is not called where none has. It may be nil.
	Spaces func(Spaces) error
	Add    func(StoredPackage) error
	Pass   func(file string, err error) // takes what is passed over
}

// Spaces are the namespaces of a store that have keys, and what the store calls itself.
type Spaces struct {
	Origin string
	Owners map[string][]Evidence // by namespace: its owners from the first on
}

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
