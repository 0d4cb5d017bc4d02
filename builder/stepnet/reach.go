package stepnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"fnb/schema/settings"
)

// A RefusedError says that a step may not reach an address.
type RefusedError struct {
	Address netip.Addr
	Why     string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s is not reached from a build: it is %s", e.Address, e.Why)
}

// Refused reports whether an error has a [*RefusedError] in it.
func Refused(err error) bool {
	_, ok := errors.AsType[*RefusedError](err)
	return ok
}

// A Reach decides which addresses are reached from a build. The zero value allows
// whatever is neither this machine nor where a cloud gives a machine its credentials.
type Reach struct {
	except []settings.Listener
}

// ParseReach returns a Reach with exceptions: what of this machine is reached all the
// same, as [settings.ParseListener] takes it.
func ParseReach(except []string) (Reach, error) {
	var r Reach
	for _, s := range except {
		l, err := settings.ParseListener(s)
		if err != nil {
			return Reach{}, err
		}
		if !slices.Contains(r.except, l) {
			r.except = append(r.except, l)
		}
	}
	return r, nil
}

// loopback lists, for each exception on the machine's loopback, the addresses that a
// step finds it at, and the one that it has on the machine.
func (r Reach) loopback() map[netip.AddrPort]string {
	out := map[netip.AddrPort]string{}
	for _, l := range r.except {
		at := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
		if l.Host != "localhost" {
			at = []netip.Addr{netip.MustParseAddr(l.Host)}
		}
		for _, a := range at {
			if a.IsLoopback() {
				out[netip.AddrPortFrom(a, l.Port)] = l.String()
			}
		}
	}
	return out
}

// Check returns a [*RefusedError] where an address is not reached from a build.
// Whether it is one of the machine's own is asked anew each time.
func (r Reach) Check(ctx context.Context, to netip.AddrPort) error {
	addr := to.Addr().Unmap().WithZone("")
	for _, e := range r.except {
		if e.Port == to.Port() && (e.Host == addr.String() || e.Host == "localhost" && addr.IsLoopback()) {
			return nil
		}
	}
	switch {
	case addr.IsLoopback(), addr.IsUnspecified(), addr.Is4() && addr.As4()[0] == 0:
		return &RefusedError{addr, "this machine's loopback"}
	case addr.IsLinkLocalUnicast(), slices.Contains(cloud(), addr):
		return &RefusedError{addr, "link-local, where a cloud gives machines their credentials"}
	case addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return &RefusedError{addr, "for many machines at once"}
	}
	// What goes to the machine itself comes from the address that it goes to. A
	// connected UDP socket sends nothing.
	conn, err := new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(addr, to.Port()).String())
	if err != nil {
		return fmt.Errorf("looking for a way to %s: %w", addr, err)
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	if from, ok := conn.LocalAddr().(*net.UDPAddr); ok && from.AddrPort().Addr().Unmap().WithZone("") == addr {
		return &RefusedError{addr, "this machine's own"}
	}
	return nil
}

// Dialer returns a dialer that connects to nothing else than what is reached, whatever
// a name stands for. It gives up after 30 seconds, or when a context ends.
func (r Reach) Dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, ControlContext: func(ctx context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return r.Check(ctx, to)
	}}
}

const dialTimeout = 30 * time.Second

// cloud are addresses that answer like those of link-local metadata services, and
// are not link-local.
func cloud() []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr("fd00:ec2::254"),   // Amazon, over IPv6
		netip.MustParseAddr("fd20:ce::254"),    // Google, over IPv6
		netip.MustParseAddr("168.63.129.16"),   // Azure's agent
		netip.MustParseAddr("100.100.100.200"), // Alibaba
		netip.MustParseAddr("192.0.0.192"),     // Oracle, of old
	}
}
