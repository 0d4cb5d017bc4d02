// Package reach reads where a function may connect to while it runs on this machine: [Parse].
package reach

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// A Destination is a host and a port of this machine's network, and the name by which a
// function knows the host.
type Destination struct {
	Name string // in small letters
	Port int    // of NAME
	Host string // a name or an address, without brackets
	At   int    // its port
}

// Parse reads [NAME[:PORT]=]HOST:PORT. Without a NAME the host's own is it, and without its
// PORT the host's.
func Parse(text string) (Destination, error) {
	var d Destination
	name, place, named := strings.Cut(text, "=")
	if !named {
		place = text
	}
	if place == "" || strings.ContainsAny(place, "/@ \t") {
		return d, fmt.Errorf("%q does not lead to a HOST:PORT; only TCP can be reached, not a URL or a socket's file", text)
	}
	host, port, err := net.SplitHostPort(place)
	if err != nil || host == "" {
		return d, fmt.Errorf("%q is not [NAME[:PORT]=]HOST:PORT; an address of IPv6 is written [::1]:5432", text)
	}
	d.Host = strings.ToLower(host)
	if d.At, err = parsePort(port); err != nil {
		return d, fmt.Errorf("%q: %w", text, err)
	}
	d.Port = d.At
	address, err := netip.ParseAddr(d.Host)
	isAddress := err == nil
	if isAddress && address.IsUnspecified() {
		return d, fmt.Errorf("%q: nothing is at the address %s", text, d.Host)
	}
	if !isAddress {
		if err := ValidateName(d.Host); err != nil && d.Host != localhost {
			return d, fmt.Errorf("%q: %w", text, err)
		}
	}
	if !named {
		if isAddress || d.Host == localhost {
			return d, fmt.Errorf("%q needs a name by which the function knows it, such as db=%s", text, place)
		}
		d.Name = d.Host
		return d, nil
	}
	name, port, other := strings.Cut(name, ":")
	if other {
		if d.Port, err = parsePort(port); err != nil {
			return d, fmt.Errorf("%q: %w", text, err)
		}
	}
	d.Name = strings.ToLower(name)
	if err := ValidateName(d.Name); err != nil {
		return d, fmt.Errorf("%q: %w", text, err)
	}
	return d, nil
}

func parsePort(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 || text != strconv.Itoa(n) {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", text)
	}
	return n, nil
}

const localhost = "localhost"

// ValidateName says what is wrong with the name of a host.
func ValidateName(name string) error {
	if name == localhost || strings.HasSuffix(name, "."+localhost) {
		return fmt.Errorf("%s is the function's own host: take another name, and give the function that one, such as by a variable", name)
	}
	if name == "" {
		return errors.New("the name before = is missing")
	}
	bad := len(name) > 253
	for label := range strings.SplitSeq(name, ".") {
		bad = bad || label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-'
	}
	if bad || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}) {
		return fmt.Errorf("%q is not the name of a host", name)
	}
	if strings.Trim(name, "0123456789.") == "" {
		return fmt.Errorf("%q is an address, which a name cannot be", name)
	}
	return nil
}

// String is what [Parse] reads.
func (d Destination) String() string {
	switch {
	case d.Port != d.At:
		return d.Inside() + "=" + d.Address()
	case d.Name != d.Host:
		return d.Name + "=" + d.Address()
	}
	return d.Address()
}

// Inside is the host and port that a function connects to.
func (d Destination) Inside() string { return d.Name + ":" + strconv.Itoa(d.Port) }

// Address is what is connected to.
func (d Destination) Address() string { return net.JoinHostPort(d.Host, strconv.Itoa(d.At)) }

// ParseAll reads several, of which no two may be one for the function.
func ParseAll(texts []string) ([]Destination, error) {
	var all []Destination
	seen := map[string]string{}
	for _, text := range texts {
		d, err := Parse(text)
		if err != nil {
			return nil, err
		}
		if before, ok := seen[d.Inside()]; ok {
			return nil, fmt.Errorf("%q and %q are both %s for the function", before, text, d.Inside())
		}
		seen[d.Inside()] = text
		all = append(all, d)
	}
	return all, nil
}
