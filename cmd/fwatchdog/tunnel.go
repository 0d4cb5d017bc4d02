package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// runTunnel joins in and out to an address, as runConnect does, until either of them ends. BuildKit ends
// a container in which any process fails: what goes wrong is only said, and the exit code stays 0.
func runTunnel(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(errs, "fwatchdog: tunnel: takes one address")
		return 0
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", args[0])
	if err != nil {
		fmt.Fprintf(errs, "fwatchdog: tunnel: %v\n", err)
		return 0
	}
	ended := make(chan struct{}, 2)
	go func() {
		_, _ = io.Copy(conn, in) // either end may end it
		ended <- struct{}{}
	}()
	go func() {
		_, _ = io.Copy(out, conn) // the same
		ended <- struct{}{}
	}()
	<-ended
	_ = conn.Close() // nothing is sent any more
	return 0
}

// runLongLine writes a line of so many bytes to errs and becomes the command that follows. With it, the
// contract test sees what a function's long line does to the watchdog in front of it.
func runLongLine(args []string, errs io.Writer) error {
	if len(args) < 2 {
		return errors.New("longline: takes a number of bytes and a command")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n > 1<<20 {
		return fmt.Errorf("longline: %q is not a number of bytes up to a million", args[0])
	}
	if _, err := errs.Write(append(bytes.Repeat([]byte("x"), n-1), '\n')); err != nil {
		return err
	}
	program, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	return syscall.Exec(program, args[1:], os.Environ())
}
