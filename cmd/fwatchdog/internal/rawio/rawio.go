// Package rawio calls the system without the knowledge of Go's scheduler, where the call cannot block: NewConn reads
// and writes a socket so, NewFile writes the lines of a log. What waits for a child process on a thread of its own is
// here as well.
//
// The scheduler has a monitor, which takes the processor from a thread that is in a system call for longer than a few
// microseconds. It wakes with the first call after a rest and then looks 20,000 times a second, which costs more than
// it gains where calls are many and none of them blocks: a third of the work of a small request.
package rawio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// rawConn is the socket of conn.
func rawConn(conn net.Conn) (syscall.RawConn, error) {
	s, ok := conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.SyscallConn()
}

// Failed returns the error that the peer has left on the socket by resetting the connection; nil if it has not.
func (c *Conn) Failed() error {
	pending := 0
	var failed error
	err := c.raw.Control(func(fd uintptr) {
		pending, failed = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
	})
	if err == nil && failed == nil && pending != 0 {
		failed = syscall.Errno(pending)
	}
	return errors.Join(err, failed)
}

// PipeEnd is the descriptor of a pipe's end from which Read takes what is in the pipe, and does not wait for more.
type PipeEnd int

// Read reads what is there.
func (e PipeEnd) Read(b []byte) (int, error) {
	n, err := syscall.Read(int(e), b)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// Rest reads what is in a pipe at this moment, without a look at its deadline. It waits for nothing, and whoever still
// writes to the pipe does not make it longer.
func Rest(pipe *os.File) io.Reader {
	var rest []byte
	raw, err := pipe.SyscallConn()
	if err != nil {
		return bytes.NewReader(nil)
	}
	_ = raw.Control(func(fd uintptr) { // a closed pipe has no rest
		// It is nonblocking, as all pipes of files are; where it turns out to have less, that is its rest.
		rest, _ = io.ReadAll(io.LimitReader(PipeEnd(int(fd)), InPipe(int(fd))))
	})
	return bytes.NewReader(rest)
}
