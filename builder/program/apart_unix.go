//go:build unix

package program

import (
	"os/exec"
	"syscall"
)

// apart keeps a terminal's Ctrl-C from a program, which ends with its connection.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
