//go:build !linux

package main

import (
	"io"
	"net"
	"syscall"
)

// newDirectIO returns what reads from and writes to conn.
func newDirectIO(conn net.Conn, _ syscall.RawConn) io.ReadWriter { return conn }

// newDirectFile returns what writes to w.
func newDirectFile(w io.Writer) io.Writer { return w }

// peek returns EAGAIN where a socket has nothing to be read, not even its end.
func peek(fd uintptr) error {
	var one [1]byte
	_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err
}
