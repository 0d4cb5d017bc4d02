package main

import (
	"errors"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// A cmdline is what the kernel's command line says to process 1.
type cmdline struct {
	net     network
	env     []string // NAME=VALUE
	overlay bool     // what is written stays in memory
	restart bool     // the machine ends by a restart, as Firecracker's does
	vsock   uint16   // port that leads to the same one of loopback, by vsock; 0 is none
}

// A network is how an interface gets its address, in the kernel's words (Documentation/admin-guide/nfs/nfsroot).
type network struct {
	device  string // "" is the first
	host    string
	address netip.Prefix // none: DHCP, or nothing
	gateway netip.Addr
	dns     []netip.Addr
	dhcp    bool
}

// wanted reports whether an interface is to be brought up at all.
func (n network) wanted() bool { return n.dhcp || n.address.IsValid() }

// readCmdline reads the kernel's command line. What is of no concern to process 1 is left alone.
func readCmdline(text string) (cmdline, error) {
	var c cmdline
	for _, word := range strings.Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch {
		case key == "ip":
			c.net, err = readNetwork(value)
		case key == "fnb.overlay":
			c.overlay = true
		case key == "fnb.vsock":
			c.vsock, err = readPort(value)
		case key == "reboot":
			c.restart = strings.HasPrefix(value, "k")
		case strings.HasPrefix(key, "fnb.env."):
			if value, err = unescape(value); err == nil {
				c.env = append(c.env, strings.TrimPrefix(key, "fnb.env.")+"="+value)
			}
		}
		if err != nil {
			return c, doing(word, err)
		}
	}
	return c, nil
}

// unescape reads a value that is written as in URLs (RFC 3986, section 2.1).
func unescape(value string) (string, error) {
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(value, "%")
		b.WriteString(plain)
		if !found {
			return b.String(), nil
		}
		if len(rest) < 2 {
			return "", errors.New("% is not followed by two digits")
		}
		c, err := strconv.ParseUint(rest[:2], 16, 8)
		if err != nil {
			return "", errors.New("%" + rest[:2] + " is not % and two digits")
		}
		b.WriteByte(byte(c))
		value = rest[2:]
	}
}

func readPort(value string) (uint16, error) {
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil || port == 0 {
		return 0, errors.New("the port is not a number from 1 to 65535")
	}
	return uint16(port), nil
}

// readNetwork reads ADDRESS:SERVER:GATEWAY:MASK:HOST:DEVICE:HOW:DNS:DNS, or one word.
func readNetwork(value string) (network, error) {
	var n network
	fields := strings.Split(value, ":")
	if len(fields) == 1 {
		fields = append(make([]string, 6), value)
	}
	field := func(i int) string {
		if i < len(fields) {
			return fields[i]
		}
		return ""
	}
	n.host, n.device = field(4), field(5)
	switch field(6) {
	case "dhcp", "on", "any", "both":
		n.dhcp = true
	}
	var err error
	addr := func(i int) (a netip.Addr) {
		if s := field(i); s != "" && err == nil {
			if a, err = netip.ParseAddr(s); err == nil && !a.Is4() {
				err = errors.New(s + " is no IPv4 address")
			}
		}
		return a
	}
	own, mask := addr(0), addr(3)
	n.gateway = addr(2)
	for _, i := range []int{7, 8} {
		if a := addr(i); a.IsValid() {
			n.dns = append(n.dns, a)
		}
	}
	if err != nil || !own.IsValid() {
		return n, err
	}
	ones := 32
	if mask.IsValid() {
		if ones, err = maskBits(mask); err != nil {
			return n, err
		}
	}
	n.address, n.dhcp = netip.PrefixFrom(own, ones), false
	return n, nil
}

// maskBits is how many bits of a mask are set, which must be the first.
func maskBits(mask netip.Addr) (int, error) {
	b := mask.As4()
	word := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	ones := bits.LeadingZeros32(^word)
	if word<<ones != 0 {
		return 0, errors.New(mask.String() + " is not a mask")
	}
	return ones, nil
}
