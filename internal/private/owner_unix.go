//go:build unix

package private

import (
	"io/fs"
	"os"
	"syscall"
)

// OwnFile reports whether a file belongs to the user.
func OwnFile(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return !ok || int(st.Uid) == os.Geteuid()
}

// rootFile reports whether a file belongs to root, or to somebody whom this user
// namespace does not know, as root is outside of it.
func rootFile(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return !ok || st.Uid == 0 || st.Uid == overflowUser
}

// overflowUser is how Linux calls users that a user namespace does not know.
const overflowUser = 65534
