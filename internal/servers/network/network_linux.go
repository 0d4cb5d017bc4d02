package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// In calls do in the network of a process: a socket that do makes itself, not in another
// goroutine, belongs there, wherever it is used afterwards.
func In(pid int, do func() error) error {
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

// Reach has an address of this machine's loopback, such as a registry's, lead there from the network of a process, too, until what
// it returns is closed. note hears why a connection leads nowhere.
func Reach(pid int, host string, note func(error)) (net.Listener, error) {
	var listener net.Listener
	err := In(pid, func() (err error) {
		listener, err = net.Listen("tcp", host) //nolint:noctx // it is closed
		return err
	})
	if err != nil {
		return nil, err
	}
	go Forward(listener, func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", host)
	}, note)
	return listener, nil
}

// Forward joins what comes to a listener with what dial leads to, until the listener is closed. note hears why a connection leads
// nowhere.
func Forward(from net.Listener, dial func(context.Context) (net.Conn, error), note func(error)) {
	for {
		in, err := from.Accept()
		if err != nil {
			return // it was closed
		}
		go func() {
			defer func() { _ = in.Close() }() // join has ended both ways
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			out, err := dial(ctx)
			cancel()
			if err != nil {
				note(err) // the other side sees its connection end
				return
			}
			defer func() { _ = out.Close() }() // as above
			join(in, out)
		}()
	}
}

// join copies both ways until both have ended.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // a connection may end at any time
			if half, ok := way[0].(*net.TCPConn); ok {
				_ = half.CloseWrite() // the same
			}
		})
	}
	both.Wait()
}
