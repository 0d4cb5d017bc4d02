package stepnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The addresses of a step. Those of IPv4 are of RFC 7335, which no network routes.
const (
	device   = "eth0"
	cable    = "fnb0" // the other end of the device, which the builder reads
	address4 = "192.0.0.2/32"
	address6 = "fd66:6e62::2/128"
)

// A namespace is the network of one step.
type namespace struct {
	path  string // for the runtime to open
	close func() error
}

// Close ends all connections and the namespace. It may be called twice.
func (n *namespace) Close() error { return n.close() }

// An inside is what was opened in a namespace, which others are not in.
type inside struct {
	netns     *os.File
	wire      *wire
	listeners map[net.Listener]string // to the address on the machine
}

// newNamespace makes a network whose questions for names go to servers.
func newNamespace(reach Reach, servers func() []string) (*namespace, error) {
	var in inside
	if err := onThread(func() error { return in.open(reach) }); err != nil {
		return nil, errors.Join(err, in.close())
	}
	self, err := os.Readlink("/proc/self") // which may number processes in another way than getpid
	if err != nil {
		return nil, errors.Join(fmt.Errorf("finding this process: %w", err), in.close())
	}
	ctx, cancel := context.WithCancel(context.Background()) // until Close
	gate := &gate{reach: reach, servers: servers}
	st, err := newStack(ctx, in.wire, gate)
	in.wire = nil // it is the stack's
	if err != nil {
		cancel()
		return nil, errors.Join(err, in.close())
	}
	for l, to := range in.listeners {
		go gate.accept(ctx, l, to)
	}
	n := &namespace{path: procPath(self, strconv.Itoa(int(in.netns.Fd())))}
	n.close = sync.OnceValue(func() error {
		cancel()
		return errors.Join(st.close(), in.close())
	})
	return n, nil
}

// onThread calls do on a thread that ends with it, since it is in another network then.
// The process's first thread cannot end, and stands for the whole in /proc.
func onThread(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			done <- do()
			return
		}
		done <- onThread(do) // on another one, while this one is held
		runtime.UnlockOSThread()
	}()
	return <-done
}

// open makes a namespace, enters it, and opens everything that has to be opened there.
func (in *inside) open(reach Reach) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("making a network namespace: %w", err)
	}
	var err error
	if in.netns, err = os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())); err != nil {
		return fmt.Errorf("opening a network namespace: %w", err)
	}
	if in.wire, err = configure(); err != nil {
		return fmt.Errorf("setting up a network namespace: %w", err)
	}
	in.listeners = map[net.Listener]string{}
	for at, to := range reach.loopback() {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", at.String())
		if err != nil && at.Addr().Is6() {
			continue // there is no IPv6
		}
		if err != nil {
			return fmt.Errorf("setting up a network namespace: %w", err)
		}
		in.listeners[l] = to
	}
	return nil
}

func (in *inside) close() error {
	var errs []error
	for l := range in.listeners {
		errs = append(errs, l.Close())
	}
	if in.wire != nil {
		errs = append(errs, in.wire.file.Close())
	}
	if in.netns != nil {
		errs = append(errs, in.netns.Close())
	}
	return errors.Join(errs...)
}

// configure gives this thread's namespace its device, addresses and routes, and returns
// the other end. A machine without IPv6 has none in there either.
func configure() (*wire, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: device, MTU: mtu}, PeerName: cable}
	if err := h.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("making a pair of devices: %w", err)
	}
	var links [3]netlink.Link
	for i, name := range []string{"lo", device, cable} {
		if links[i], err = h.LinkByName(name); err != nil {
			return nil, fmt.Errorf("looking for %s: %w", name, err)
		}
	}
	dev, end := links[1], links[2]
	// There is one neighbour, who takes everything.
	if err := errors.Join(h.LinkSetARPOff(dev), h.LinkSetMTU(end, mtu)); err != nil {
		return nil, err
	}
	for _, l := range links {
		if err := h.LinkSetUp(l); err != nil {
			return nil, fmt.Errorf("turning %s on: %w", l.Attrs().Name, err)
		}
	}
	if err := enter(h, dev, address4, "0.0.0.0/0"); err != nil {
		return nil, err
	}
	if _, err := os.Stat("/proc/thread-self/net/if_inet6"); err == nil {
		_ = enter(h, dev, address6, "::/0") // it may be turned off
	}
	return openWire(end.Attrs(), dev.Attrs().HardwareAddr)
}

// enter gives a device an address, and sends everything there.
func enter(h *netlink.Handle, dev netlink.Link, address, all string) error {
	own, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	own.Flags = unix.IFA_F_NODAD
	if err := h.AddrAdd(dev, own); err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	prefix := netip.MustParsePrefix(all)
	to := &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(0, prefix.Addr().BitLen())}
	if err := h.RouteAdd(&netlink.Route{LinkIndex: dev.Attrs().Index, Dst: to, Scope: netlink.SCOPE_LINK}); err != nil {
		return fmt.Errorf("route %s: %w", all, err)
	}
	return nil
}
