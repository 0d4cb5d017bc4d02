package rawio

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Pipe makes a pipe that no process inherits by accident.
func Pipe(r, w *int) error {
	var ends [2]int
	err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC)
	if err == nil {
		*r, *w = ends[0], ends[1]
	}
	return err
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

// WaitReadable waits on this thread until fd can be read, but not longer than limit.
func WaitReadable(fd int, limit time.Duration) bool { return pollOne(fd, pollIn, limit)&pollIn != 0 }

// HasNoWriter reports whether nobody is left to write to the pipe.
func HasNoWriter(fd int) bool { return pollOne(fd, 0, 0)&pollHup != 0 }

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

// InPipe is how many bytes are in a pipe.
func InPipe(fd int) int64 {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return int64(n)
}

// EndedChild is the number of a child that has ended, whose status it leaves where it is; or 0.
func EndedChild() int {
	const all, nowait = 0, 0x01000000 // P_ALL, WNOWAIT
	var info struct {
		signo, errno, code int32
		_                  [4 * (unsafe.Sizeof(uintptr(0))/4 - 1)]byte
		pid                int32
		_                  [128]byte
	}
	_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, all, 0, uintptr(unsafe.Pointer(&info)),
		syscall.WEXITED|syscall.WNOHANG|nowait, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(info.pid)
}
