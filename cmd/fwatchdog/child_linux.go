package main

import (
	"syscall"
	"time"
	"unsafe"
)

// makePipe makes a pipe that no process inherits by accident.
func makePipe(r, w *int) error {
	var ends [2]int
	err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC)
	if err == nil {
		*r, *w = ends[0], ends[1]
	}
	return err
}

// childAttributes has the process lead a group of its own and, where the system can, be known by pidfd as well.
func childAttributes(pidfd *int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, PidFD: pidfd}
}

// The bits of poll(2).
const (
	pollIn  = 0x1
	pollOut = 0x4
	pollHup = 0x10
)

// pollFd is poll(2)'s struct pollfd.
type pollFd struct {
	fd              int32
	events, revents int16
}

// isReadable waits on this thread until fd can be read, but not longer than limit.
func isReadable(fd int, limit time.Duration) bool { return pollOne(fd, pollIn, limit)&pollIn != 0 }

// hasNoWriter reports whether nobody is left to write to the pipe.
func hasNoWriter(fd int) bool { return pollOne(fd, 0, 0)&pollHup != 0 }

func pollOne(fd int, events int16, limit time.Duration) int16 {
	one := pollFd{fd: int32(fd), events: events} //nolint:gosec // a descriptor
	for end := time.Now().Add(limit); ; limit = max(0, time.Until(end)) {
		timeout := syscall.NsecToTimespec(int64(limit))
		_, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&one)), 1, uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
		switch errno {
		case 0:
			return one.revents
		case syscall.EINTR: // the end of another process, most likely
		default:
			return 0 // whoever asks can do without
		}
	}
}
