package containers

import (
	"context"
	"net"
)

// A Route is a name and a port that lead out of a container: what connects to them in it
// speaks to what Open returns.
type Route struct {
	Name string
	Port int
	// Open connects to where the route leads. An ending that is half one arrives as such if
	// the connection has a CloseWrite() error.
	Open func(ctx context.Context) (net.Conn, error)
}
