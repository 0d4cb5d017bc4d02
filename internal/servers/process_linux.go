package servers

import "syscall"

// endWithParent has the kernel send SIGTERM to a child program whose parent
// has died, so that a test that is killed leaves no server behind.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}
