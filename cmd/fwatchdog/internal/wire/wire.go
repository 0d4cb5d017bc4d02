// Package wire reads and writes the bytes of HTTP/1.1. ReadAnswer reads what a function answers, HeadParser the plain
// requests of clients, and AppendRequest writes a request to a function. Nothing here reads from a connection on its own or
// knows a time limit, so that all of it can be fuzzed.
//
// What it takes is stricter than it has to be: a message that two readers may read differently is refused, or is the last
// one of its connection.
package wire

import (
	"net/http"
	"net/textproto"
	"strings"
)

// The bounds of messages.
const (
	HeadMost  = 1 << 20  // bytes of one head, and of one trailer
	SmallBody = 16 << 10 // a body up to this size is read before it is answered, and sent with its head
)

// UnknownLength is the length of a body that is known only at its end.
const UnknownLength = -1

// HopByHop reports whether the header field name, in canonical form, concerns one connection only.
func HopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// Listed reports whether token is an element of a comma-separated field, in any case.
func Listed(values []string, token string) bool {
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(element), token) {
				return true
			}
		}
	}
	return false
}

// IsToken reports whether name can be a header field's name (RFC 9110, 5.6.2).
func IsToken[T string | []byte](name T) bool {
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return len(name) > 0
}

// IsValue reports whether value can be a header field's value: no control character but the tab (RFC 9110, 5.5).
func IsValue[T string | []byte](value T) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// InTrailer reports whether the field name, in canonical form, may come after a body. One that frames the message, routes
// it or says how to read it may not: who reads it late has acted without it, or acts a second time (RFC 9110, 6.5.1).
func InTrailer(name string) bool {
	switch name {
	case "Authorization", "Cache-Control", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type", "Expect", "Host",
		"Max-Forwards", "Pragma", "Range", "Set-Cookie", "Trailer", "Www-Authenticate":
		return false
	}
	return !HopByHop(name) && !strings.HasPrefix(name, "If-") && IsToken(name)
}

// IsVisible reports whether text has no space and no control character.
func IsVisible(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// canonical is the header map's spelling of name; the frequent ones cost no allocation.
func canonical(name []byte) string {
	switch string(name) {
	case "Content-Type", "content-type":
		return "Content-Type"
	case "Content-Length", "content-length":
		return "Content-Length"
	case "Date", "date":
		return "Date"
	case "Connection", "connection":
		return "Connection"
	case "Server", "server":
		return "Server"
	}
	return textproto.CanonicalMIMEHeaderKey(string(name))
}

// canonicalText is canonical of a text; other names are frequent in requests.
func canonicalText(name string) string {
	switch name {
	case "Host", "User-Agent", "Accept", "Content-Length", "Content-Type", "Accept-Encoding", "Connection":
		return name
	case "host":
		return "Host"
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// AppendField writes one field.
func AppendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// StatusClientGone is what the log and the metrics say of a request whose client went away first.
const StatusClientGone = 499

// StatusText is the reason phrase of a status.
func StatusText(status int) string {
	if status == StatusClientGone {
		return "Client Closed Request"
	}
	return http.StatusText(status)
}
