package main

import "syscall"

// childAttributes has the process lead a group of its own and, where the system can, be known by pidfd as well.
func childAttributes(pidfd *int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, PidFD: pidfd}
}
