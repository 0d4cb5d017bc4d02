package tree

import (
	"io/fs"
	"syscall"
)

// statusOf returns the time of a file's last status change and its inode.
func statusOf(info fs.FileInfo) (status int64, inode uint64, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return st.Ctimespec.Nano(), st.Ino, true
}
