package gitrepo

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// maxShown bounds a file that is read by way of [Tree.Files].
const maxShown = 64 << 20

// Files shows what a revision has below a folder, "." for all of it. Links are neither
// files nor folders there.
func (t *Tree) Files(folder string) fs.FS { return revision{t, folder} }

// A revision is the files of a tree below a folder.
type revision struct {
	tree   *Tree
	prefix string
}

// Stat implements [fs.StatFS].
func (r revision) Stat(name string) (fs.FileInfo, error) {
	full := path.Join(r.prefix, name)
	if full == "." {
		return gitFile{name: ".", mode: fs.ModeDir | 0o755}, nil
	}
	e, err := r.tree.Entry(full)
	return gitFileOf(e), err
}

// Open implements [fs.FS], for files.
func (r revision) Open(name string) (fs.File, error) {
	info, err := r.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	data, err := r.tree.Read(path.Join(r.prefix, name), maxShown)
	return openGitFile{info, bytes.NewReader(data)}, err
}

// ReadDir implements [fs.ReadDirFS].
func (r revision) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := r.tree.List(path.Join(r.prefix, name))
	if err != nil {
		return nil, err
	}
	var all []fs.DirEntry
	for _, e := range list {
		all = append(all, fs.FileInfoToDirEntry(gitFileOf(e)))
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all, nil
}

// A gitFile describes a file or a folder of a revision.
type gitFile struct {
	name string
	mode fs.FileMode
}

func gitFileOf(e Entry) gitFile {
	switch {
	case e.Mode == Folder:
		return gitFile{e.Name, fs.ModeDir | 0o755}
	case e.Mode.IsFile():
		return gitFile{e.Name, 0o644}
	}
	return gitFile{e.Name, fs.ModeIrregular}
}

func (f gitFile) Name() string       { return f.name }
func (f gitFile) Size() int64        { return 0 }
func (f gitFile) Mode() fs.FileMode  { return f.mode }
func (f gitFile) ModTime() time.Time { return time.Time{} }
func (f gitFile) IsDir() bool        { return f.mode.IsDir() }
func (f gitFile) Sys() any           { return nil }

type openGitFile struct {
	fs.FileInfo
	io.Reader
}

func (f openGitFile) Stat() (fs.FileInfo, error) { return f.FileInfo, nil }
func (f openGitFile) Close() error               { return nil }
