package main

import "syscall"

// processNamespace makes a process the first one of a namespace of its own.
func processNamespace() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
}
