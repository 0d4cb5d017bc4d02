//go:build unix

package builder

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
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

// detach has a command run in a session of its own.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// send sends a signal to a process. One that is gone is os.ErrProcessDone.
func send(pid int, signal syscall.Signal) error {
	if err := syscall.Kill(pid, signal); errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	} else if err != nil {
		return err
	}
	return nil
}
