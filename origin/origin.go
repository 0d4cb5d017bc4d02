package origin

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
)

// An Origin is who is spoken to: scheme, host and port (RFC 6454). Two values are the
// same server exactly when they are equal. A secret that was given for one origin goes
// to no other: not to another port, not to a host below it, not from HTTPS to HTTP.
type Origin struct {
	Scheme string // lower case
	Host   string // lower case; IPv6 without brackets
	Port   string // without leading zeros; that of the scheme where the URL has none, "" where there is no such
}

// Of returns the origin of a URL.
func Of(u *url.URL) Origin {
	o := Origin{Scheme: lower(u.Scheme), Host: lower(u.Hostname()), Port: strings.TrimLeft(u.Port(), "0")}
	if addr, err := netip.ParseAddr(o.Host); err == nil {
		o.Host = addr.String()
	}
	if o.Port == "" {
		o.Port = usualPort(o.Scheme)
	}
	return o
}

// HostPort is the host as a URL has it, with the port where that is not the scheme's.
func (o Origin) HostPort() string {
	host := o.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.Port == "" || o.IsUsualPort() {
		return host
	}
	return host + ":" + o.Port
}

// IsUsualPort reports whether the port is the one that the scheme has by itself.
func (o Origin) IsUsualPort() bool { return o.Port == usualPort(o.Scheme) }

func usualPort(scheme string) string {
	switch scheme {
	case "https":
		return "443"
	case "http":
		return "80"
	case "ssh":
		return "22"
	case "git":
		return "9418"
	}
	return ""
}

// lower folds ASCII only: Unicode's case would join hosts that DNS keeps apart.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// What is wrong with an address.
var (
	ErrMalformed = errors.New("its URL is malformed")
	ErrControl   = errors.New("its URL has control characters in it")
	ErrNoHost    = errors.New("it names no host")
)

// Check reads a URL that comes from elsewhere. No part of it has, once decoded, a
// control character: with one it could be several lines of what a credential helper is
// asked, or of a request. The host is there, but for the scheme file, and has only
// characters of host names. Errors are the three above.
func Check(address string) (*url.URL, error) {
	if hasControl(address) {
		return nil, ErrControl
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, ErrMalformed
	}
	password, _ := u.User.Password()
	query, err := url.QueryUnescape(u.RawQuery)
	if err != nil {
		return nil, ErrMalformed
	}
	for _, part := range []string{u.Scheme, u.Opaque, u.User.Username(), password, u.Host, u.Path, query, u.Fragment} {
		if hasControl(part) {
			return nil, ErrControl
		}
	}
	if u.Scheme == "file" && u.Host == "" {
		return u, nil
	}
	if u.Hostname() == "" {
		return nil, ErrNoHost
	}
	return u, CheckHost(u.Host)
}

// CheckHost returns an error unless host, with or without a port, has only characters of
// host names and addresses.
func CheckHost(host string) error {
	name := host
	if h, port, err := net.SplitHostPort(host); err == nil {
		if strings.ContainsFunc(port, func(r rune) bool { return r < '0' || r > '9' }) {
			return ErrMalformed
		}
		name = h
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if strings.Contains(bare, ":") {
		if addr, err := netip.ParseAddr(bare); err != nil || addr.Zone() != "" {
			return ErrMalformed
		}
		return nil
	}
	if bare == "" {
		return ErrNoHost
	}
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.M, r) && !strings.ContainsRune(".-_", r)
	}
	if bare != name || strings.HasPrefix(bare, "-") || strings.ContainsFunc(bare, odd) {
		return ErrMalformed
	}
	return nil
}

// hasControl reports whether a text has a character that ends or hides a line.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}

// first is the request that a chain of redirects began with.
func first(r *http.Request) *http.Request {
	for r.Response != nil && r.Response.Request != nil {
		r = r.Response.Request
	}
	return r
}

// Led reports whether a request is not for the origin that its chain of redirects
// began at, or has left that on the way.
func Led(r *http.Request) bool {
	start := Of(first(r).URL)
	for ; ; r = r.Response.Request {
		if Of(r.URL) != start {
			return true
		}
		if r.Response == nil || r.Response.Request == nil {
			return false
		}
	}
}

// strip takes from a request that was led elsewhere what an earlier one of its chain
// has shown to another origin. net/http keeps such fields for the other ports and for
// the subdomains of a host.
func strip(r *http.Request) {
	here := Of(r.URL)
	for past := r; past.Response != nil && past.Response.Request != nil; {
		past = past.Response.Request
		if Of(past.URL) == here {
			continue
		}
		for _, field := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
			if shown := past.Header.Get(field); shown != "" && shown == r.Header.Get(field) {
				r.Header.Del(field)
			}
		}
	}
}
