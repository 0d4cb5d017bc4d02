package main

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// Go's scheduler has a monitor, which takes the processor from a thread that is in a system call for longer than a
// few microseconds. It wakes with the first call after a rest and then looks 20,000 times a second, which costs more
// than it gains where calls are many and none of them blocks: a third of the work of a small request. What is
// direct here calls the system without the scheduler's knowledge, and only where the call cannot block.

// announceAfter is how many bytes a connection may bring or take without a wait before one call is announced. The
// monitor that wakes has other connections served too, where there is one processor only.
const announceAfter = 8 << 20

// directIO reads and writes a connection's socket, which never blocks.
type directIO struct {
	conn    net.Conn
	in, out directCall
}

// directCall is a read or a write that is under way.
type directCall struct {
	wait func(try func(fd uintptr) bool) error // calls try, and again when the socket is ready
	try  func(fd uintptr) bool                 // is made once, for each call would allocate it again

	mu    sync.Mutex
	buf   []byte
	done  int // bytes of buf
	moved int // bytes since the last wait
	errno syscall.Errno
}

// newDirectIO returns what reads from and writes to conn, whose descriptor is raw's.
func newDirectIO(conn net.Conn, raw syscall.RawConn) io.ReadWriter {
	if raw == nil {
		return conn
	}
	d := &directIO{conn: conn}
	d.in.wait, d.in.try = raw.Read, d.in.read
	d.out.wait, d.out.try = raw.Write, d.out.write
	return d
}

// Read reads what has arrived, or waits for it.
func (d *directIO) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := d.in.run("read", p, d.conn)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, err
}

// Write writes all of p.
func (d *directIO) Write(p []byte) (int, error) { return d.out.run("write", p, d.conn) }

// run does the call. Errors are those of the connection's own methods.
func (c *directCall) run(op string, p []byte, conn net.Conn) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf, c.done, c.errno = p, 0, 0
	err := c.wait(c.try)
	c.buf = nil
	var outer *net.OpError
	switch {
	case errors.As(err, &outer):
		err = outer.Err
	case err == nil && c.errno != 0:
		err = os.NewSyscallError(op, c.errno)
	}
	if err != nil {
		peer := conn.RemoteAddr()
		err = &net.OpError{Op: op, Net: peer.Network(), Source: conn.LocalAddr(), Addr: peer, Err: err}
	}
	return c.done, err
}

// read reports whether there was anything to read, the end included.
func (c *directCall) read(fd uintptr) bool { return c.call(syscall.SYS_READ, fd) }

// write reports whether everything has been written, or nothing more can be.
func (c *directCall) write(fd uintptr) bool {
	for c.done < len(c.buf) && c.errno == 0 {
		if !c.call(syscall.SYS_WRITE, fd) {
			return false
		}
	}
	return true
}

// call reports whether the call need not be waited for.
func (c *directCall) call(trap, fd uintptr) bool {
	rest := c.buf[c.done:]
	var n uintptr
	if c.moved < announceAfter {
		n, _, c.errno = syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)))
	} else {
		n, _, c.errno = syscall.Syscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)))
		c.moved = 0
	}
	switch c.errno {
	case 0:
		c.done += int(n)
		c.moved += int(n)
	case syscall.EINTR:
		c.errno = 0
		return c.call(trap, fd)
	case syscall.EAGAIN:
		c.errno, c.moved = 0, 0
		return false
	}
	return true
}

// peek returns EAGAIN where a socket has nothing to be read, not even its end.
func peek(fd uintptr) error {
	var one [1]byte
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&one)), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	return errno
}

// directFile writes short lines to a file or pipe as long as it has room.
type directFile struct {
	*os.File
	raw syscall.RawConn
}

// newDirectFile returns what writes to w. Only a file that is known to tell the truth about its room is written to
// directly, which a terminal is not.
func newDirectFile(w io.Writer) io.Writer {
	file, ok := w.(*os.File)
	if !ok {
		return w
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return w
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeDevice != 0 {
		return w
	}
	return &directFile{file, raw}
}

func (f *directFile) Write(p []byte) (int, error) {
	const atOnce = 4096 // what a pipe with room for anything has room for
	n := 0
	if len(p) <= atOnce {
		_ = f.raw.Write(func(fd uintptr) bool { // whatever fails fails again below
			if hasRoom(fd) {
				done, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
				if errno == 0 {
					n = int(done)
				}
			}
			return true
		})
	}
	if n == len(p) {
		return n, nil
	}
	rest, err := f.File.Write(p[n:])
	return n + rest, err
}

// hasRoom reports whether a file takes a line without having the writer wait.
func hasRoom(fd uintptr) bool {
	one := pollFd{fd: int32(fd), events: pollOut} //nolint:gosec // a descriptor
	var now syscall.Timespec
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&one)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return errno == 0 && n == 1 && one.revents == pollOut
}
