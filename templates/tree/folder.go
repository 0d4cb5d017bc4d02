package tree

import (
	"io/fs"
	"os"
	"syscall"
)

// Folder returns the files below root as an [fs.FS] to scan. Nothing outside
// root is ever opened through it, and opening a file never waits: a FIFO that
// took a file's place since the scan is an error, not a hang.
//
// The FS keeps root alive; root needs no Close as long as the FS is used.
func Folder(root *os.Root) fs.FS { return FolderAt(root, "") }

// FolderAt is [Folder] for a root whose absolute path is known, so that its
// files have stamps.
func FolderAt(root *os.Root, path string) fs.FS {
	return &folderFS{root: root, plain: root.FS(), path: path}
}

type folderFS struct {
	root  *os.Root
	plain fs.FS
	path  string // absolute, or ""
}

func (f *folderFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

func (f *folderFS) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(f.plain, name) }
func (f *folderFS) Stat(name string) (fs.FileInfo, error)      { return fs.Stat(f.plain, name) }
func (f *folderFS) Lstat(name string) (fs.FileInfo, error)     { return fs.Lstat(f.plain, name) }
func (f *folderFS) ReadLink(name string) (string, error)       { return fs.ReadLink(f.plain, name) }
