// Package tunnel carries the bytes of one connection over the input and output of a process, with Run: fnb reaches a
// function so that runs in a builder's container.
package tunnel

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// quiet is how long in has to bring nothing before a tunnel whose address sends no more ends.
const quiet = 50 * time.Millisecond

// Run joins in and out to an address until either of them ends. A first byte on out says that the
// connection is there. BuildKit ends a container in which any process fails, so what goes wrong is only
// said and the exit code stays 0; and it drops all processes of a client that writes to one which has
// ended, so out is closed first, and in is read until its end or until it is quiet.
func Run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(errs, "fwatchdog: tunnel: takes one address")
		return 0
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", args[0])
	if err == nil {
		_, err = out.Write([]byte{0})
	}
	if err != nil {
		fmt.Fprintf(errs, "fwatchdog: tunnel: %v\n", err)
		return 0
	}
	defer conn.Close() //nolint:errcheck // nothing is sent any more
	var heard atomic.Int64
	inEnded, outEnded := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(inEnded)
		to := io.Writer(conn)
		for buf := make([]byte, 32<<10); ; {
			n, err := in.Read(buf)
			heard.Store(time.Now().UnixNano())
			if _, werr := to.Write(buf[:n]); werr != nil {
				to = io.Discard // until the other end knows
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		_, _ = io.Copy(out, conn) // either end may end it
		if c, ok := out.(io.Closer); ok {
			_ = c.Close() // which tells the other
		}
		close(outEnded)
	}()
	select {
	case <-inEnded:
		return 0
	case <-outEnded:
	}
	for time.Since(time.Unix(0, heard.Load())) < quiet {
		select {
		case <-inEnded:
			return 0
		case <-time.After(quiet / 5):
		}
	}
	return 0
}
