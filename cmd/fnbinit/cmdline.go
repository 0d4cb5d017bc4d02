package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// A cmdline is what the kernel's command line says to process 1.
type cmdline struct {
	net     network
	env     []string // NAME=VALUE
	overlay bool     // what is written stays in memory
	restart bool     // the machine ends by a restart, as Firecracker's does
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
		switch {
		case key == "ip":
			n, err := readNetwork(value)
			if err != nil {
				return c, fmt.Errorf("%s: %w", word, err)
			}
			c.net = n
		case key == "fnb.overlay":
			c.overlay = true
		case key == "reboot":
			c.restart = strings.HasPrefix(value, "k")
		case strings.HasPrefix(key, "fnb.env."):
			plain, err := url.PathUnescape(value)
			if err != nil {
				return c, fmt.Errorf("%s: %w", word, err)
			}
			c.env = append(c.env, strings.TrimPrefix(key, "fnb.env.")+"="+plain)
		}
	}
	return c, nil
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
				err = fmt.Errorf("%s is no IPv4 address", s)
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
	bits := 32
	if mask.IsValid() {
		if bits, err = maskBits(mask); err != nil {
			return n, err
		}
	}
	n.address, n.dhcp = netip.PrefixFrom(own, bits), false
	return n, nil
}

// maskBits is how many bits of a mask are set, which must be the first.
func maskBits(mask netip.Addr) (int, error) {
	b := mask.As4()
	word := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	bits := 0
	for word&(1<<31) != 0 {
		word <<= 1
		bits++
	}
	if word != 0 {
		return 0, fmt.Errorf("%s is not a mask", mask)
	}
	return bits, nil
}
