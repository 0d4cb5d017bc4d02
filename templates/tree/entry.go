package tree

import (
	"fmt"
	"io/fs"
	"time"
)

// Permissions of everything in a tree.
const (
	filePerm   fs.FileMode = 0o644
	execPerm   fs.FileMode = 0o755
	folderMode             = fs.ModeDir | 0o755
	linkMode               = fs.ModeSymlink | 0o777
)

// An Entry is one file or link of a tree, and where its contents are.
type Entry struct {
	// Path is the entry's place in the tree, valid by [fs.ValidPath].
	Path string
	// Mode is one of 0644, 0755 and fs.ModeSymlink|0777.
	Mode fs.FileMode
	// Size is a file's length in bytes.
	Size int64
	// Target is where a link points to, as it is written.
	Target string

	from  fs.FS     // where a file's contents are
	name  string    // the file's name there
	time  time.Time // when the file was changed last, as Scan saw it
	stamp Stamp
}

// A PathError says what is wrong with one file of a tree.
type PathError struct {
	Path   string // slash-separated, below the folder that was read
	Reason string
}

func (e *PathError) Error() string {
	return fmt.Sprintf("%s: %s", e.Path, e.Reason)
}

// Reasons of path errors that do not depend on the file.
const (
	reasonName    = "the name is not valid UTF-8 or holds a line break"
	reasonChanged = "changed while it was being packaged"
)

// kindReason says why a file of type t cannot be in a tree.
func kindReason(t fs.FileMode) string {
	switch {
	case t&fs.ModeNamedPipe != 0:
		return "is a FIFO, not a file, folder or link"
	case t&fs.ModeSocket != 0:
		return "is a socket, not a file, folder or link"
	case t&fs.ModeDevice != 0:
		return "is a device, not a file, folder or link"
	}
	return "is not a file, folder or link"
}
