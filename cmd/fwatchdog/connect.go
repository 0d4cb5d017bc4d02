package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// runConnect joins in and out to a TCP address (HOST:PORT or PORT) or a unix socket (unix:/path). The
// end of in ends the sending side only, so an answer that is still to come arrives; the end of what the
// other side sends ends it all. fnb run reaches a container's function through it.
func runConnect(ctx context.Context, args, pairs []string, in io.Reader, out io.Writer) error {
	if len(args) > 1 {
		return errors.New("connect: takes one address")
	}
	e := newEnvironment(pairs)
	c := &config{}
	c.readPort(e)
	network, address := "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port))
	if len(args) == 1 {
		network, address = parseTarget(args[0])
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	go func() {
		_, _ = io.Copy(conn, in) // either end may end it
		closeWrite(conn)
	}()
	_, err = io.Copy(out, conn)
	if closing := conn.Close(); err == nil {
		err = closing
	}
	return err
}

func parseTarget(text string) (network, address string) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		return "unix", strings.TrimPrefix(path, "//")
	}
	if _, err := strconv.Atoi(text); err == nil {
		return "tcp", net.JoinHostPort("127.0.0.1", text)
	}
	return "tcp", text
}
