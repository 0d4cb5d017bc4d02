//go:build unix

package git

import (
	"os/exec"
	"syscall"
)

// withoutTerminal makes a program one that cannot ask anybody, in a group of its own.
func withoutTerminal(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// killAll ends the program and what it has started.
func killAll(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
