//go:build !linux

package rawio

import (
	"io"
	"net"
	"syscall"
	"time"
)

// announceAfter is for tests; every call is announced here.
const announceAfter = 8 << 20

// Conn is a connection whose socket can be looked at.
type Conn struct {
	net.Conn
	raw syscall.RawConn
}

// NewConn returns what reads from and writes to the socket of conn.
func NewConn(conn net.Conn) (*Conn, error) {
	raw, err := rawConn(conn)
	if err != nil {
		return nil, err
	}
	return &Conn{conn, raw}, nil
}

// Readable reports whether reading would not wait: for bytes, for the end, or for nothing as it fails.
func (c *Conn) Readable() bool {
	var err error
	_ = c.raw.Read(func(fd uintptr) bool { // its error leaves err as it is
		var one [1]byte
		_, _, err = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	})
	return err != syscall.EAGAIN //nolint:errorlint // the system's own number
}

// NewFile returns what writes to w.
func NewFile(w io.Writer) io.Writer { return w }

// Pipe makes a pipe that no process inherits by accident.
func Pipe(r, w *int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	var ends [2]int
	err := syscall.Pipe(ends[:])
	if err == nil {
		syscall.CloseOnExec(ends[0])
		syscall.CloseOnExec(ends[1])
		*r, *w = ends[0], ends[1]
	}
	return err
}

// WaitReadable is false: a caller waits in another way.
func WaitReadable(int, time.Duration) bool { return false }

// HasNoWriter is false: nobody knows.
func HasNoWriter(int) bool { return false }

// InPipe is how many bytes a pipe holds at most: nobody knows how many there are now.
func InPipe(int) int64 { return 64 << 10 }
