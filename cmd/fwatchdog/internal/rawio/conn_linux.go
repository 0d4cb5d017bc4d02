package rawio

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// announceAfter is how many bytes a connection may bring or take without a wait before one call is announced. The
// monitor that wakes has other connections served too, where there is one processor only.
const announceAfter = 8 << 20

// Conn reads and writes a connection's socket, which never blocks.
type Conn struct {
	conn    net.Conn
	raw     syscall.RawConn
	in, out transfer
}

// transfer is a read or a write that is under way.
type transfer struct {
	wait func(try func(fd uintptr) bool) error // calls try, and again when the socket is ready
	try  func(fd uintptr) bool                 // is made once, for each call would allocate it again
	look func(fd uintptr) bool                 // the same

	mu    sync.Mutex
	buf   []byte
	done  int // bytes of buf
	moved int // bytes since the last wait
	errno syscall.Errno
}

// NewConn returns what reads from and writes to the socket of conn.
func NewConn(conn net.Conn) (*Conn, error) {
	raw, err := rawConn(conn)
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: conn, raw: raw}
	c.in.wait, c.in.try, c.in.look = raw.Read, c.in.read, c.in.peek
	c.out.wait, c.out.try = raw.Write, c.out.write
	return c, nil
}

// Read reads what has arrived, or waits for it.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.in.run("read", p, c.conn)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, err
}

// Write writes all of p.
func (c *Conn) Write(p []byte) (int, error) { return c.out.run("write", p, c.conn) }

// Readable reports whether reading would not wait: for bytes, for the end, or for nothing as it fails.
func (c *Conn) Readable() bool {
	t := &c.in
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errno = 0
	_ = t.wait(t.look) // its error leaves errno as it is
	return t.errno != syscall.EAGAIN
}

// run does the call.
func (t *transfer) run(op string, p []byte, conn net.Conn) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf, t.done, t.errno = p, 0, 0
	err := t.wait(t.try)
	t.buf = nil
	if err != nil || t.errno != 0 {
		err = explain(op, conn, err, t.errno)
	}
	return t.done, err
}

// explain makes the error that conn's own method would return.
func explain(op string, conn net.Conn, err error, errno syscall.Errno) error {
	var outer *net.OpError
	switch {
	case errors.As(err, &outer):
		err = outer.Err
	case err == nil:
		err = os.NewSyscallError(op, errno)
	}
	peer := conn.RemoteAddr()
	return &net.OpError{Op: op, Net: peer.Network(), Source: conn.LocalAddr(), Addr: peer, Err: err}
}

// read reports whether there was anything to read, the end included.
func (t *transfer) read(fd uintptr) bool { return t.call(syscall.SYS_READ, fd) }

// write reports whether everything has been written, or nothing more can be.
func (t *transfer) write(fd uintptr) bool {
	for t.done < len(t.buf) && t.errno == 0 {
		if !t.call(syscall.SYS_WRITE, fd) {
			return false
		}
	}
	return true
}

// call reports whether the call need not be waited for.
func (t *transfer) call(trap, fd uintptr) bool {
	rest := t.buf[t.done:]
	var n uintptr
	if t.moved < announceAfter {
		n, _, t.errno = syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)))
	} else {
		n, _, t.errno = syscall.Syscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)))
		t.moved = 0
	}
	switch t.errno {
	case 0:
		t.done += int(n)
		t.moved += int(n)
	case syscall.EINTR:
		t.errno = 0
		return t.call(trap, fd)
	case syscall.EAGAIN:
		t.errno, t.moved = 0, 0
		return false
	}
	return true
}

// peek leaves EAGAIN where the socket has nothing to be read, not even its end. It never has to be called again.
func (t *transfer) peek(fd uintptr) bool {
	var one [1]byte
	_, _, t.errno = syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&one)), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	return true
}
