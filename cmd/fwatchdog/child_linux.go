package main

import "syscall"

// childAttributes has the process lead a group of its own and, where the system can, be known by pidfd as well.
func childAttributes(pidfd *int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, PidFD: pidfd}
}

// withoutPidfd has a process that could not be started be started without a pidfd. It reports whether that is worth a try: the QEMU
// that runs programs of another platform (7.2) refuses a clone with a pidfd.
func withoutPidfd(attr *syscall.SysProcAttr, err error) bool {
	if err != syscall.EINVAL || attr.PidFD == nil { //nolint:errorlint // as the system says it
		return false
	}
	attr.PidFD = nil
	return true
}
