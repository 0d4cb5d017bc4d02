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

// dial connects to an address inside the container's network: a socket belongs
// to the network its thread was in when it was made, so the thread goes there
// and comes back.
func (c *Container) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	target, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", c.pid.Load()))
	if err != nil {
		return nil, err
	}
	defer func() { _ = target.Close() }() // it is only a handle
	type answer struct {
		conn net.Conn
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		conn, err := dialIn(ctx, target, network, addr)
		answers <- answer{conn, err}
	}()
	a := <-answers
	return a.conn, a.err
}

// dialIn takes the goroutine's thread to another network and dials there. A
// thread that cannot come back is never used again: it stays locked, and ends
// with the goroutine.
func dialIn(ctx context.Context, target *os.File, network, addr string) (net.Conn, error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer func() { _ = home.Close() }() // it is only a handle
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("entering the container's network: %w", err)
	}
	// An address that is a number is dialled by the calling goroutine itself.
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return conn, errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return conn, err
}
