//go:build unix

package managed

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

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
