package tree

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A Stamp is what a file system says of a file without reading it. Two equal
// stamps that are older than the clock's grain are of equal contents.
type Stamp struct {
	Path    string // absolute
	Size    int64
	Changed int64 // contents, nanoseconds since 1970
	Status  int64 // contents, mode, owner or links, nanoseconds since 1970
	Inode   uint64
}

// Latest is when the file, or what the file system says of it, changed last.
func (s Stamp) Latest() time.Time { return time.Unix(0, max(s.Changed, s.Status)) }

// Stamp returns the stamp of an entry's file as Scan saw it. It is false for
// what is not a file of a folder on disk, and where the system keeps no time of
// status changes.
func (e Entry) Stamp() (Stamp, bool) { return e.stamp, e.stamp.Path != "" }

// stamped notes a file's stamp.
func (e *Entry) stamped(info fs.FileInfo) {
	folder, ok := e.from.(*folderFS)
	if !ok || folder.path == "" {
		return
	}
	status, inode, ok := statusOf(info)
	if !ok {
		return
	}
	e.stamp = Stamp{
		Path: folder.path + string(os.PathSeparator) + filepath.FromSlash(e.name),
		Size: info.Size(), Changed: info.ModTime().UnixNano(), Status: status, Inode: inode,
	}
}
