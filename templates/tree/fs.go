package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// An FS shows entries as a file system. It implements [fs.ReadDirFS],
// [fs.ReadFileFS], [fs.StatFS] and [fs.ReadLinkFS].
type FS struct {
	nodes map[string]*node
}

type node struct {
	Entry
	children []string // base names, sorted; of folders
}

var (
	errEscapes = errors.New("link leaves the tree")
	errLoop    = errors.New("too many links")
)

// New returns the tree of entries and the folders they lie in. Two entries of
// one path, or an entry below another, are a [*PathError].
func New(entries []Entry) (*FS, error) {
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		if !fs.ValidPath(e.Path) || e.Path == "." {
			return nil, &PathError{Path: e.Path, Reason: "is not a path inside the tree"}
		}
		if seen[e.Path] {
			return nil, &PathError{Path: e.Path, Reason: "is there twice"}
		}
		seen[e.Path] = true
	}
	for _, e := range entries {
		for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
			if seen[dir] {
				return nil, &PathError{Path: dir, Reason: "is a file and a folder at once, because of " + e.Path}
			}
		}
	}
	return index(entries), nil
}

// index makes the tree of entries, which fit together.
func index(entries []Entry) *FS {
	f := &FS{nodes: make(map[string]*node, len(entries)+1)}
	f.nodes["."] = &node{Entry: Entry{Path: ".", Mode: folderMode}}
	for _, e := range entries {
		f.add(e)
	}
	for _, n := range f.nodes {
		slices.Sort(n.children)
	}
	return f
}

func (f *FS) add(e Entry) {
	f.nodes[e.Path] = &node{Entry: e}
	dir := path.Dir(e.Path)
	if _, ok := f.nodes[dir]; !ok {
		f.add(Entry{Path: dir, Mode: folderMode})
	}
	parent := f.nodes[dir]
	parent.children = append(parent.children, path.Base(e.Path))
}

// Entries returns every file and link of the tree, sorted by path.
func (f *FS) Entries() []Entry {
	list := make([]Entry, 0, len(f.nodes))
	for _, n := range f.nodes {
		if !n.Mode.IsDir() {
			list = append(list, n.Entry)
		}
	}
	sortEntries(list)
	return list
}

func sortEntries(list []Entry) {
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
}

// resolve follows the links of name and returns the path it stands for. The
// path may name nothing.
func (f *FS) resolve(name string) (string, error) {
	at, rest, hops := ".", name, 0
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		switch part {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return "", errEscapes
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		n, ok := f.nodes[next]
		if !ok || n.Mode != linkMode {
			at = next
			continue
		}
		if hops++; hops > 40 {
			return "", errLoop
		}
		if path.IsAbs(n.Target) || strings.Contains(n.Target, `:\`) {
			return "", errEscapes
		}
		rest = n.Target + "/" + rest
	}
	return at, nil
}

// find returns the node of name with all its links followed.
func (f *FS) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if n, ok := f.nodes[name]; ok && n.Mode != linkMode {
		return n, nil
	}
	real, err := f.resolve(name)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	n, ok := f.nodes[real]
	if !ok {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// last returns the node of name itself, with the links above it followed.
func (f *FS) last(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if n, ok := f.nodes[name]; ok {
		return n, nil
	}
	dir, err := f.find(op, path.Dir(name))
	if err != nil {
		return nil, err
	}
	if n, ok := f.nodes[path.Join(dir.Path, path.Base(name))]; ok && dir.Mode.IsDir() {
		return n, nil
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// Open opens the named file or folder.
func (f *FS) Open(name string) (fs.File, error) {
	n, err := f.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.Mode.IsDir() {
		return &folder{info: info{n.Entry}, list: f.list(n)}, nil
	}
	return n.open(name)
}

// ReadFile returns the contents of the named file.
func (f *FS) ReadFile(name string) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(file)
	return data, errors.Join(err, file.Close())
}

// ReadDir returns what is in the named folder, by name.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := f.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.Mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a folder")}
	}
	return f.list(n), nil
}

func (f *FS) list(n *node) []fs.DirEntry {
	list := make([]fs.DirEntry, len(n.children))
	for i, c := range n.children {
		list[i] = info{f.nodes[path.Join(n.Path, c)].Entry}
	}
	return list
}

// Stat describes the named file, with links followed.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	n, err := f.find("stat", name)
	if err != nil {
		return nil, err
	}
	return info{n.Entry}, nil
}

// Lstat describes the named file, which may be a link.
func (f *FS) Lstat(name string) (fs.FileInfo, error) {
	n, err := f.last("lstat", name)
	if err != nil {
		return nil, err
	}
	return info{n.Entry}, nil
}

// ReadLink returns where the named link points to.
func (f *FS) ReadLink(name string) (string, error) {
	n, err := f.last("readlink", name)
	if err != nil {
		return "", err
	}
	if n.Mode != linkMode {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.Target, nil
}

// info is an entry as fs.FileInfo and fs.DirEntry. Its time is always the
// epoch.
type info struct{ entry Entry }

func (i info) Name() string               { return path.Base(i.entry.Path) }
func (i info) Size() int64                { return i.entry.Size }
func (i info) Mode() fs.FileMode          { return i.entry.Mode }
func (i info) ModTime() time.Time         { return time.Unix(0, 0).UTC() }
func (i info) IsDir() bool                { return i.entry.Mode.IsDir() }
func (i info) Sys() any                   { return nil }
func (i info) Type() fs.FileMode          { return i.entry.Mode.Type() }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) String() string             { return fs.FormatDirEntry(i) }

type folder struct {
	info info
	list []fs.DirEntry
}

func (d *folder) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *folder) Close() error               { return nil }

func (d *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.entry.Path, Err: errors.New("is a folder")}
}

func (d *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		list := d.list
		d.list = nil
		return list, nil
	}
	if len(d.list) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.list))
	list := d.list[:n]
	d.list = d.list[n:]
	return list, nil
}

// open opens an entry's contents where they are, and makes sure that they are
// what Scan saw.
func (n *node) open(name string) (fs.File, error) {
	file, err := n.from.Open(n.name)
	if err != nil {
		return nil, err
	}
	now, err := file.Stat()
	if err == nil && !(now.Mode().IsRegular() && now.Size() == n.Size && now.ModTime().Equal(n.time)) {
		err = &PathError{Path: name, Reason: reasonChanged}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", name, err), file.Close())
	}
	return &contents{File: file, info: info{n.Entry}}, nil
}

// contents is an open file under the name, mode and time that the tree shows.
type contents struct {
	fs.File
	info info
}

func (c *contents) Stat() (fs.FileInfo, error) { return c.info, nil }
