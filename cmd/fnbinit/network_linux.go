package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	patience = 30 * time.Second // for an interface, and for a DHCP server
	again    = time.Minute      // until a lease that was not renewed is asked for again
)

// connect brings up loopback and, if that is wanted, the first other interface. It returns how names are found.
func connect(n network, out io.Writer) (resolv []byte, err error) {
	if err := raise("lo"); err != nil {
		return nil, err
	}
	if !n.wanted() {
		return nil, nil
	}
	i, err := await(n.device)
	if err != nil {
		return nil, err
	}
	if addrs, err := i.Addrs(); err == nil && slices.ContainsFunc(addrs, isIPv4) { // the kernel has done it
		text, err := os.ReadFile("/proc/net/pnp")
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return text, err
	}
	if err := raise(i.Name); err != nil {
		return nil, err
	}
	if n.dhcp {
		l, err := dhcp(i, out)
		if err != nil {
			return nil, err
		}
		n.address, n.gateway, n.dns = l.address, l.gateway, l.dns
	}
	return resolvConf(n.dns), configure(i.Name, n)
}

func isIPv4(a net.Addr) bool {
	p, ok := a.(*net.IPNet)
	return ok && p.IP.To4() != nil && !p.IP.IsLinkLocalUnicast()
}

func resolvConf(dns []netip.Addr) []byte {
	var b bytes.Buffer
	for _, a := range dns {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	return b.Bytes()
}

// await waits for an interface: the one of a name, or the first that is not loopback.
func await(name string) (*net.Interface, error) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		all, err := net.Interfaces()
		if err != nil {
			return nil, err
		}
		for _, i := range all {
			if i.Name == name || name == "" && i.Flags&net.FlagLoopback == 0 && len(i.HardwareAddr) == 6 {
				return &i, nil
			}
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("there is no network interface %s", name)
		}
	}
}

// withSocket calls do with a socket that takes requests about interfaces.
func withSocket(do func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(do(fd), unix.Close(fd))
}

// raise brings an interface up.
func raise(name string) error {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	err = withSocket(func(fd int) error {
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
			return err
		}
		r.SetUint16(r.Uint16() | unix.IFF_UP)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
	})
	if err != nil {
		return fmt.Errorf("bringing up %s: %w", name, err)
	}
	return nil
}

// configure gives an interface its address, and the machine its way out.
func configure(name string, n network) error {
	err := withSocket(func(fd int) error {
		mask := net.CIDRMask(n.address.Bits(), 32)
		for _, s := range []struct {
			request uint
			value   []byte
		}{{unix.SIOCSIFADDR, n.address.Addr().AsSlice()}, {unix.SIOCSIFNETMASK, mask}} {
			r, err := unix.NewIfreq(name)
			if err != nil {
				return err
			}
			if err := r.SetInet4Addr(s.value); err != nil {
				return err
			}
			if err := unix.IoctlIfreq(fd, s.request, r); err != nil {
				return err
			}
		}
		if !n.gateway.IsValid() {
			return nil
		}
		if !n.address.Contains(n.gateway) { // it is reached all the same, such as that of an address alone
			if err := route(fd, name, n.gateway, netip.Addr{}, unix.RTF_UP|unix.RTF_HOST); err != nil {
				return err
			}
		}
		return route(fd, name, netip.IPv4Unspecified(), n.gateway, unix.RTF_UP|unix.RTF_GATEWAY)
	})
	if err != nil {
		return fmt.Errorf("giving %s the address %s: %w", name, n.address, err)
	}
	return nil
}

// A rtentry is the kernel's struct of that name.
type rtentry struct {
	_             uintptr
	to, via, mask unix.RawSockaddrInet4
	flags         uint16
	_             int16
	_, _          uintptr
	_             int16
	device        *byte
	_, _          uintptr
	_             uint16
}

// route adds a route by way of an interface; all is the route to the address 0.0.0.0.
func route(fd int, device string, to, via netip.Addr, flags uint16) error {
	name, err := unix.BytePtrFromString(device)
	if err != nil {
		return err
	}
	e := rtentry{flags: flags, device: name}
	for _, a := range []*unix.RawSockaddrInet4{&e.to, &e.via, &e.mask} {
		a.Family = unix.AF_INET
	}
	e.to.Addr = to.As4()
	if via.IsValid() {
		e.via.Addr = via.As4()
	}
	if flags&unix.RTF_HOST != 0 {
		e.mask.Addr = [4]byte{255, 255, 255, 255}
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCADDRT, uintptr(unsafe.Pointer(&e))); errno != 0 && errno != unix.EEXIST { //nolint:gosec // the kernel's struct
		return errno
	}
	return nil
}

// dhcp borrows an address for an interface, and renews it as long as the machine runs.
func dhcp(i *net.Interface, out io.Writer) (lease, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), i.Name) }) //nolint:gosec // a file descriptor
		return errors.Join(err, cerr)
	}}
	c, err := lc.ListenPacket(context.Background(), "udp4", ":68")
	if err != nil {
		return lease{}, err
	}
	to := &net.UDPAddr{IP: net.IPv4bcast, Port: 67}
	id := uint32(time.Now().UnixNano()) //nolint:gosec // any number
	l, err := borrow(c, to, id, i.HardwareAddr, patience)
	if err != nil {
		return l, errors.Join(err, c.Close())
	}
	go func() {
		for wait := l.time / 2; l.time > 0; wait = l.time / 2 {
			time.Sleep(max(wait, again))
			renewed, err := ask(c, to, id, i.HardwareAddr, request, l, patience)
			if err != nil {
				fmt.Fprintf(out, "fnb: renewing the address %s: %v\n", l.address, err)
				continue
			}
			l = renewed
		}
	}()
	return l, nil
}

// nameServers has the machine's programs find names as text says: in the file where that can be written, or else over it.
func nameServers(text []byte) error {
	const file, over = "/etc/resolv.conf", "/run/resolv.conf"
	if len(text) == 0 {
		return nil
	}
	err := os.WriteFile(file, text, 0o644) //nolint:gosec // all read it
	if !errors.Is(err, syscall.EROFS) {
		return err
	}
	if err := os.WriteFile(over, text, 0o644); err != nil { //nolint:gosec // all read it
		return err
	}
	return unix.Mount(over, file, "", unix.MS_BIND, "")
}

// hosts has the machine know itself by name.
func hosts(name string) error {
	if err := unix.Sethostname([]byte(name)); err != nil {
		return err
	}
	text, err := os.ReadFile("/etc/hosts")
	if err == nil && strings.Contains(string(text), "localhost") {
		return nil
	}
	err = os.WriteFile("/etc/hosts", []byte("127.0.0.1\tlocalhost\n127.0.1.1\t"+name+"\n::1\tlocalhost\n"), 0o644) //nolint:gosec // all read it
	if errors.Is(err, syscall.EROFS) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
