package servers

import (
	"context"
	"net"

	"fnb/internal/servers/network"
)

// dial connects to an address inside the container's network.
func (c *Container) dial(ctx context.Context, kind, addr string) (conn net.Conn, err error) {
	err = network.In(int(c.pid.Load()), func() error {
		// An address that is a number is dialled by the calling goroutine itself.
		conn, err = (&net.Dialer{}).DialContext(ctx, kind, addr)
		return err
	})
	return conn, err
}
