package builder

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// An AddressError says that a text is not the address of a builder.
type AddressError struct {
	Address string
	Problem string
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("builder address %q: %s", e.Address, e.Problem)
}

// A PlaintextError says that what a build sends to a builder, secrets and credentials
// too, would go to another machine in clear text.
type PlaintextError struct{ Address string }

func (e *PlaintextError) Error() string {
	return fmt.Sprintf("the builder at %s is on another machine, and without TLS build secrets and the credentials of registries would go there in clear text", e.Address)
}

// mayReach refuses to reach a builder of another machine in clear text, unless that is
// asked for. It returns a [*PlaintextError].
func (o *Options) mayReach(u *url.URL) error {
	clear := u.Scheme == "tcp" && o.TLSDir == "" || u.Scheme == "docker" && u.Host != ""
	if !clear || o.Plaintext || loopback(u.Hostname()) {
		return nil
	}
	return &PlaintextError{o.Address}
}

// loopback reports whether a host is this machine by its name alone.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// ParseAddresses reads one builder address or a comma-separated list of them,
// which is a fleet. Each gets the settings of base; tcp://HOST:PORT may carry
// its own as ?tlsdir=DIR&servername=NAME&plaintext=true. kube-pod://?selector=LABELS stands for
// every ready pod that has the labels, and [Expand] finds them. An address that
// is named twice counts once. A mistake is an [*AddressError]; an address of another
// machine without TLS is a [*PlaintextError], unless Plaintext is set.
func ParseAddresses(list string, base Options) ([]Options, error) {
	var out []Options
	for _, address := range splitAddresses(list) {
		o := base
		o.Address = address
		u, err := checkAddress(address)
		if err != nil {
			return nil, err
		}
		switch {
		case u.Scheme == "tcp":
			if err := o.endpoint(u); err != nil {
				return nil, err
			}
		case u.Scheme == "kube-pod" && u.Host == "":
			if _, err := parseSelector(u); err != nil {
				return nil, &AddressError{address, err.Error()}
			}
		}
		if err := o.mayReach(u); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(have Options) bool { return have.Address == o.Address }) {
			out = append(out, o)
		}
	}
	if len(out) == 0 {
		return nil, &AddressError{list, "it names no builder"}
	}
	return out, nil
}

// splitAddresses takes a list apart at its commas. One that is not followed by
// an address of its own belongs to the address before it, as in a selector of
// two labels.
func splitAddresses(list string) []string {
	var out []string
	for part := range strings.SplitSeq(list, ",") {
		trimmed := strings.TrimSpace(part)
		switch {
		case trimmed == "":
		case len(out) > 0 && !strings.Contains(trimmed, "://"):
			out[len(out)-1] += "," + trimmed
		default:
			out = append(out, trimmed)
		}
	}
	return out
}

// checkAddress reads an address whose scheme fnb knows.
func checkAddress(address string) (*url.URL, error) {
	schemes := []string{"unix", "tcp", "ssh", "docker-container", "podman-container", "nerdctl-container", "kube-pod", "docker", "npipe"}
	u, err := url.Parse(address)
	if err != nil || !slices.Contains(schemes, u.Scheme) || !strings.HasPrefix(address, u.Scheme+"://") {
		return nil, &AddressError{address, "it must begin with one of " + strings.Join(schemes, "://, ") + "://"}
	}
	if u.Scheme == "docker" && u.Host != "" && strings.Trim(u.Path, "/") != "" {
		return nil, &AddressError{address, "it has a host and a path; the path of a socket has three slashes before it, as in docker:///var/run/docker.sock"}
	}
	return u, nil
}

// endpoint takes the settings of a tcp:// address off it.
func (o *Options) endpoint(u *url.URL) error {
	if u.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return &AddressError{o.Address, err.Error()}
	}
	for _, k := range slices.Sorted(maps.Keys(query)) {
		switch k {
		case "tlsdir":
			o.TLSDir = query.Get(k)
		case "servername":
			o.ServerName = query.Get(k)
		case "plaintext":
			if o.Plaintext, err = strconv.ParseBool(query.Get(k)); err != nil {
				return &AddressError{o.Address, fmt.Sprintf("plaintext=%q is neither true nor false", query.Get(k))}
			}
		default:
			return &AddressError{o.Address, fmt.Sprintf("%q is not one of tlsdir, servername and plaintext", k)}
		}
	}
	bare := *u
	bare.RawQuery = ""
	o.Address = bare.String()
	return nil
}
