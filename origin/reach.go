package origin

import (
	"net"
	"net/netip"
	"strings"
)

// A Reach says from how far away an address can be reached. A lower one is nearer.
type Reach int

// The reaches of addresses.
const (
	Machine Reach = iota // loopback, link-local, and where clouds tell machines their secrets
	Network              // addresses of private networks
	Public
)

// String returns r in words that follow "is".
func (r Reach) String() string {
	switch r {
	case Machine:
		return "on this machine"
	case Network:
		return "in a private network"
	case Public:
	}
	return "public"
}

// ReachOf returns the reach of an address. One that carries an IPv4 address (mapped,
// NAT64, 6to4) has the reach of that.
func ReachOf(addr netip.Addr) Reach {
	addr = addr.Unmap().WithZone("")
	if v4, ok := carried(addr); ok {
		return ReachOf(v4)
	}
	switch {
	case !addr.IsValid(), addr.IsLoopback(), addr.IsLinkLocalUnicast(), addr.IsUnspecified(), addr.IsMulticast(),
		within(addr, "0.0.0.0/8", "240.0.0.0/4", "192.0.0.0/24",
			"100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128"): // metadata of Alibaba, Amazon and Google
		return Machine
	case addr.IsPrivate(), within(addr, "100.64.0.0/10", "198.18.0.0/15", "fec0::/10"):
		return Network
	}
	return Public
}

func within(addr netip.Addr, prefixes ...string) bool {
	for _, p := range prefixes {
		if netip.MustParsePrefix(p).Contains(addr) {
			return true
		}
	}
	return false
}

// carried is the IPv4 address in one of NAT64 (RFC 6052), 6to4 (RFC 3056) or in the old
// compatible form.
func carried(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() {
		return addr, false
	}
	b := addr.As16()
	switch {
	case within(addr, "64:ff9b::/96"), within(addr, "::/96") && !addr.IsLoopback() && !addr.IsUnspecified():
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case within(addr, "2002::/16"):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return addr, false
}

// ReachOfHost returns the reach of a host, with or without a port, that says by itself
// where it is: an address, or a name of this machine. Of all others only DNS can tell.
func ReachOfHost(host string) (Reach, bool) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.Trim(lower(host), "[]"), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return Machine, true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return Public, false
	}
	return ReachOf(addr), true
}

// IsLoopback reports whether host, with or without a port, is this machine by its name
// or address.
func IsLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
