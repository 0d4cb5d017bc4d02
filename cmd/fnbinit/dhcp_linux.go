package main

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const again = time.Minute // until a lease that was not renewed is asked for again

// dhcp borrows an address for an interface, and renews it as long as the machine runs.
func dhcp(i ethernet, out *os.File) (lease, error) {
	s, err := openUDP(i.name, unix.SockaddrInet4{Port: 68}, unix.SockaddrInet4{Addr: [4]byte{255, 255, 255, 255}, Port: 67})
	if err != nil {
		return lease{}, err
	}
	c := client{socket: s, mac: i.mac, id: uint32(time.Now().UnixNano())} //nolint:gosec // any number
	l, err := c.borrow(patience)
	if err != nil {
		return l, errors.Join(err, unix.Close(s.fd))
	}
	go func() {
		for wait := l.time / 2; l.time > 0; wait = l.time / 2 {
			time.Sleep(max(wait, again))
			renewed, err := c.ask(request, l, patience)
			if err != nil {
				say(out, "renewing the address "+l.address.String()+": "+err.Error())
				continue
			}
			l = renewed
		}
	}()
	return l, nil
}

// A udp is a socket that speaks to one address, and hears all.
type udp struct {
	fd int
	to unix.SockaddrInet4
}

// openUDP opens a socket at an address, for an interface; "" is any.
func openUDP(device string, at, to unix.SockaddrInet4) (udp, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return udp{}, err
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	if err == nil && device != "" {
		err = unix.BindToDevice(fd, device)
	}
	if err == nil {
		err = unix.Bind(fd, &at)
	}
	if err != nil {
		return udp{}, errors.Join(err, unix.Close(fd))
	}
	return udp{fd, to}, nil
}

func (s udp) send(m []byte) error { return unix.Sendto(s.fd, m, 0, &s.to) }

func (s udp) receive(buf []byte, patience time.Duration) (int, error) {
	for end := time.Now().Add(patience); ; {
		left := time.Until(end)
		if left < time.Microsecond {
			return 0, errSilence
		}
		t := unix.NsecToTimeval(left.Nanoseconds())
		if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &t); err != nil {
			return 0, err
		}
		n, err := unix.Read(s.fd, buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return 0, errSilence
		case !errors.Is(err, unix.EINTR):
			return n, err
		}
	}
}
