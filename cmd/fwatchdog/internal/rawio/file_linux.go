package rawio

import (
	"io"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// file writes short lines to a file or pipe as long as it has room.
type file struct {
	*os.File
	raw     syscall.RawConn
	regular bool                  // it is on a disk, where there always is room
	try     func(fd uintptr) bool // is made once, for each call would allocate it again

	mu    sync.Mutex
	buf   []byte
	done  int  // bytes of buf
	polls bool // it has to be asked for room first: the system cannot write only if there is some
}

// NewFile returns what writes to w. Only a file that is known to tell the truth about its room is written to
// directly, which a terminal is not.
func NewFile(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok {
		return w
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return w
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeDevice != 0 {
		return w
	}
	direct := &file{File: f, raw: raw, regular: info.Mode().IsRegular()}
	direct.try = direct.write
	return direct
}

// Write writes all of p.
func (f *file) Write(p []byte) (int, error) {
	n := f.writeAtOnce(p)
	if n == len(p) {
		return n, nil
	}
	rest, err := f.File.Write(p[n:])
	return n + rest, err
}

// writeAtOnce writes what there is room for of a short line, and returns how many bytes that is.
func (f *file) writeAtOnce(p []byte) int {
	const most = 4096 // what a pipe with room for anything has room for
	if len(p) > most {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buf, f.done = p, 0
	_ = f.raw.Write(f.try) // whatever fails fails again when it is written the ordinary way
	f.buf = nil
	return f.done
}

// write never has to be called again.
func (f *file) write(fd uintptr) bool {
	var n uintptr
	errno := syscall.EAGAIN
	switch {
	case f.regular, f.polls && hasRoom(fd):
		n, _, errno = syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(f.buf))), uintptr(len(f.buf)))
	case !f.polls:
		n, errno = writeNoWait(fd, f.buf)
		f.polls = errno == syscall.EOPNOTSUPP || errno == syscall.ENOSYS
	}
	if errno == 0 {
		f.done = int(n)
	}
	return true
}

// writeNoWait writes where the file is, unless the writer would have to wait. Linux knows this of pipes since 6.4.
func writeNoWait(fd uintptr, p []byte) (uintptr, syscall.Errno) {
	const here = ^uintptr(0)
	part := syscall.Iovec{Base: unsafe.SliceData(p)}
	part.SetLen(len(p))
	n, _, errno := syscall.RawSyscall6(unix.SYS_PWRITEV2, fd, uintptr(unsafe.Pointer(&part)), 1, here, here, unix.RWF_NOWAIT)
	return n, errno
}

// hasRoom reports whether a file takes a line without having the writer wait.
func hasRoom(fd uintptr) bool {
	one := pollFd{fd: int32(fd), events: pollOut} //nolint:gosec // a descriptor
	var now syscall.Timespec
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&one)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return errno == 0 && n == 1 && one.revents == pollOut
}
