package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// A lease is an address that a DHCP server has lent (RFC 2131).
type lease struct {
	network
	server netip.Addr
	time   time.Duration
}

const (
	discover, offer, request, ack, nak = 1, 2, 3, 5, 6

	fixedPart = 240 // bytes of a message before its options
	minimum   = 300 // bytes of a message that old servers take
	longest   = 1500
)

// A client speaks to DHCP servers by an interface.
type client struct {
	socket datagrams
	mac    []byte // six bytes
	id     uint32 // of its messages
}

// Datagrams carries messages to servers and back.
type datagrams interface {
	send(m []byte) error
	// receive returns errSilence if nothing comes for so long.
	receive(buf []byte, patience time.Duration) (int, error)
}

var (
	errSilence = errors.New("nothing comes")
	errRefused = errors.New("the DHCP server refused the address")
)

// message is a client's message. A zero address is none.
func (c client) message(kind byte, l lease) []byte {
	m := make([]byte, fixedPart, minimum)
	m[0], m[1], m[2] = 1, 1, byte(len(c.mac)) // a request, by Ethernet
	binary.BigEndian.PutUint32(m[4:], c.id)
	m[10] = 0x80 // the answer is to be sent to all: nobody has an address yet
	copy(m[28:44], c.mac)
	copy(m[236:], []byte{99, 130, 83, 99})
	m = append(m, 53, 1, kind)
	if l.address.IsValid() {
		ip := l.address.Addr().As4()
		m = append(append(m, 50, 4), ip[:]...)
	}
	if l.server.IsValid() {
		ip := l.server.As4()
		m = append(append(m, 54, 4), ip[:]...)
	}
	m = append(m, 55, 4, 1, 3, 6, 51, 255) // mask, gateway, name servers, time; the end
	return append(m, make([]byte, max(0, minimum-len(m)))...)
}

// readAnswer reads a server's answer; ok is false where it is none to this client.
func (c client) readAnswer(m []byte) (kind byte, l lease, ok bool) {
	if len(m) < fixedPart || m[0] != 2 || binary.BigEndian.Uint32(m[4:]) != c.id || !bytes.Equal(m[28:28+len(c.mac)], c.mac) {
		return 0, l, false
	}
	ones := 24
	for o := m[fixedPart:]; len(o) >= 2 && o[0] != 255; {
		if o[0] == 0 {
			o = o[1:]
			continue
		}
		n := int(o[1])
		if len(o) < 2+n {
			return 0, l, false
		}
		v := o[2 : 2+n]
		switch {
		case o[0] == 53 && n == 1:
			kind = v[0]
		case o[0] == 1 && n == 4:
			if b, err := maskBits(netip.AddrFrom4([4]byte(v))); err == nil {
				ones = b
			}
		case o[0] == 3 && n >= 4:
			l.gateway = netip.AddrFrom4([4]byte(v[:4]))
		case o[0] == 51 && n == 4:
			l.time = time.Duration(binary.BigEndian.Uint32(v)) * time.Second
		case o[0] == 54 && n == 4:
			l.server = netip.AddrFrom4([4]byte(v))
		case o[0] == 6:
			for ; len(v) >= 4; v = v[4:] {
				l.dns = append(l.dns, netip.AddrFrom4([4]byte(v[:4])))
			}
		}
		o = o[2+n:]
	}
	l.address = netip.PrefixFrom(netip.AddrFrom4([4]byte(m[16:20])), ones)
	return kind, l, true
}

// ask sends a message until an answer of the kind comes, or patience ends.
func (c client) ask(kind byte, l lease, patience time.Duration) (lease, error) {
	wanted := byte(offer)
	if kind == request {
		wanted = ack
	}
	buf := make([]byte, longest)
	end := time.Now().Add(patience)
	for wait := time.Second; ; wait = min(2*wait, 8*time.Second) {
		if err := c.socket.send(c.message(kind, l)); err != nil {
			return l, err
		}
		for until := time.Now().Add(min(wait, time.Until(end))); ; {
			n, err := c.socket.receive(buf, time.Until(until))
			if errors.Is(err, errSilence) {
				break
			}
			if err != nil {
				return l, err
			}
			got, answer, ok := c.readAnswer(buf[:n])
			if ok && got == nak && kind == request {
				return l, errRefused
			}
			if ok && got == wanted {
				return answer, nil
			}
		}
		if !time.Now().Before(end) {
			return l, errors.New("no DHCP server answers")
		}
	}
}

// borrow has a server lend an address.
func (c client) borrow(patience time.Duration) (lease, error) {
	offered, err := c.ask(discover, lease{}, patience)
	if err != nil {
		return offered, err
	}
	return c.ask(request, offered, patience)
}
