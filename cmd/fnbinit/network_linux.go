package main

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const patience = 30 * time.Second // for an interface, and for a DHCP server

// connect brings up loopback and, if that is wanted, the first other interface. It returns how names are found.
func connect(n network, out *os.File) (resolv string, err error) {
	if err := raise("lo"); err != nil {
		return "", err
	}
	if !n.wanted() {
		return "", nil
	}
	i, err := await(n.device)
	if err != nil {
		return "", err
	}
	if i.configured() { // the kernel has done it
		text, err := os.ReadFile("/proc/net/pnp")
		if errors.Is(err, os.ErrNotExist) {
			return "", nil
		}
		return string(text), err
	}
	if err := raise(i.name); err != nil {
		return "", err
	}
	if n.dhcp {
		l, err := dhcp(i, out)
		if err != nil {
			return "", err
		}
		n.address, n.gateway, n.dns = l.address, l.gateway, l.dns
	}
	for _, a := range n.dns {
		resolv += "nameserver " + a.String() + "\n"
	}
	return resolv, configure(i.name, n)
}

// An ethernet is a network interface.
type ethernet struct {
	name string
	mac  []byte
}

// await waits for an interface: the one of a name, or the first.
func await(name string) (ethernet, error) {
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		all, err := os.ReadDir("/sys/class/net")
		if err != nil {
			return ethernet{}, err
		}
		for _, file := range all {
			if i, ok := lookAt(file.Name()); ok && (name == "" || i.name == name) {
				return i, nil
			}
		}
		if time.Now().After(end) {
			return ethernet{}, errors.New("there is no network interface " + name)
		}
	}
}

// lookAt reports whether an interface is an Ethernet.
func lookAt(name string) (ethernet, bool) {
	read := func(what string) string {
		text, _ := os.ReadFile("/sys/class/net/" + name + "/" + what) // one that has gone is none
		return strings.TrimSpace(string(text))
	}
	i := ethernet{name: name}
	for part := range strings.SplitSeq(read("address"), ":") {
		b, err := strconv.ParseUint(part, 16, 8)
		if err != nil {
			return i, false
		}
		i.mac = append(i.mac, byte(b))
	}
	return i, len(i.mac) == 6 && read("type") == "1"
}

// configured reports whether the interface has an address that others can reach.
func (i ethernet) configured() bool {
	r, err := unix.NewIfreq(i.name)
	if err != nil {
		return false
	}
	err = withSocket(func(fd int) error { return unix.IoctlIfreq(fd, unix.SIOCGIFADDR, r) })
	if err != nil {
		return false
	}
	ip, err := r.Inet4Addr()
	return err == nil && !netip.AddrFrom4([4]byte(ip)).IsLinkLocalUnicast()
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
		return doing("bringing up "+name, err)
	}
	return nil
}

// configure gives an interface its address, and the machine its way out.
func configure(name string, n network) error {
	err := withSocket(func(fd int) error {
		mask := make([]byte, 4)
		binary.BigEndian.PutUint32(mask, ^uint32(0)<<(32-n.address.Bits()))
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
	return doing("giving "+name+" the address "+n.address.String(), err)
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

// nameServers has the machine's programs find names as text says: in the file where that can be written, or else over it.
func nameServers(text string) error {
	const file, over = "/etc/resolv.conf", "/run/resolv.conf"
	if len(text) == 0 {
		return nil
	}
	err := os.WriteFile(file, []byte(text), 0o644) //nolint:gosec // all read it
	if !errors.Is(err, unix.EROFS) {
		return err
	}
	if err := os.WriteFile(over, []byte(text), 0o644); err != nil { //nolint:gosec // all read it
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
	if errors.Is(err, unix.EROFS) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
