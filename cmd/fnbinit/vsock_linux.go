package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// forward leads a vsock port to the same port of loopback, so that whoever runs the machine reaches the function without a
// network.
func forward(port uint16) error {
	l, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(l, &unix.SockaddrVM{CID: unix.VMADDR_CID_ANY, Port: uint32(port)}); err != nil {
		return err
	}
	if err := unix.Listen(l, unix.SOMAXCONN); err != nil {
		return err
	}
	go accept(l, unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(port)})
	return nil
}

// accept joins each connection at a listening socket with one to an address. Where nobody listens yet, it is closed.
func accept(l int, to unix.SockaddrInet4) {
	for {
		from, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
		if err != nil {
			continue // whoever connected has gone
		}
		go func() {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				_ = unix.Close(from) // which says it
				return
			}
			if err := unix.Connect(fd, &to); err != nil {
				_, _ = unix.Close(from), unix.Close(fd) // as above
				return
			}
			join(from, fd)
		}()
	}
}

// join carries bytes both ways until both ends have said all. The sockets are its own.
func join(a, b int) {
	var files [2]*os.File
	for i, fd := range []int{a, b} {
		_ = unix.SetNonblock(fd, true) // so that waiting takes no thread
		files[i] = os.NewFile(uintptr(fd), "")
	}
	done := make(chan struct{})
	go func() {
		carry(files[1], files[0])
		close(done)
	}()
	carry(files[0], files[1])
	<-done
	for _, f := range files {
		_ = f.Close() // all is said
	}
}

// carry carries what one end says to the other, and then its end.
func carry(to, from *os.File) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			break
		}
	}
	for _, end := range []struct {
		f   *os.File
		how int
	}{{to, unix.SHUT_WR}, {from, unix.SHUT_RD}} {
		if c, err := end.f.SyscallConn(); err == nil {
			_ = c.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), end.how) }) //nolint:gosec // a file descriptor; one that has gone needs none
		}
	}
}
