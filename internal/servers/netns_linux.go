package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// dial connects to an address inside the container's network.
func (c *Container) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = InNetwork(int(c.pid.Load()), func() error {
		// An address that is a number is dialled by the calling goroutine itself.
		conn, err = (&net.Dialer{}).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// InNetwork calls do in the network of a process: a socket that do makes itself, not in another
// goroutine, belongs there, wherever it is used afterwards.
func InNetwork(pid int, do func() error) error {
	target, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }() // it is only a handle
	done := make(chan error, 1)
	go func() { done <- within(target, do) }()
	return <-done
}

// within takes the goroutine's thread to another network and back. A thread that
// cannot come back is never used again: it stays locked, and ends with the goroutine.
func within(target *os.File, do func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() { _ = home.Close() }() // it is only a handle
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering another network: %w", err)
	}
	err = do()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}
