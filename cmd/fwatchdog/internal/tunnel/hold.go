package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"syscall"
	"time"
)

// holdPatience is how long Hold waits.
const holdPatience = 20 * time.Second

// Hold becomes a command once something listens at an address: the container's first process waits so for its ways out. A
// first byte of zero on out says that it runs; who reads it keeps it to itself.
func Hold(ctx context.Context, args, env []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New("hold: takes an address and a command")
	}
	if _, err := out.Write([]byte{0}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, holdPatience)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", args[0])
		if err == nil {
			_ = conn.Close() // it was only looked for
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("hold: nothing listens at %s after %s", args[0], holdPatience)
		case <-time.After(2 * time.Millisecond):
		}
	}
	program, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	return syscall.Exec(program, args[1:], env)
}
