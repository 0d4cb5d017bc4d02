package wire

import (
	"net/http"
	"strconv"
	"strings"
)

// Route is what a request to the function says besides what the client said.
type Route struct {
	Prefix    string // goes before each request's target
	ProxyAuth string // value of Proxy-Authorization; "" for none
}

// AppendRequest writes the head of r onto b. length is the body's, or UnknownLength for a chunked one.
func (to Route) AppendRequest(b []byte, r *http.Request, length int64) []byte {
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, to.Prefix...)
	b = append(b, Target(r)...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, "\r\n"...)
	connection := r.Header["Connection"]
	for name, values := range r.Header {
		// A trailer is announced below, if one can come.
		if name == "Content-Length" || name == "Host" || name == "Trailer" || HopByHop(name) || connection != nil && Listed(connection, name) {
			continue
		}
		for _, value := range values {
			b = AppendField(b, name, value)
		}
	}
	switch {
	case length == UnknownLength:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		for name := range r.Trailer {
			if InTrailer(name) {
				b = AppendField(b, "Trailer", name)
			}
		}
	case length > 0 || r.Header["Content-Length"] != nil || expectsBody(r.Method):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, length, 10)
		b = append(b, "\r\n"...)
	}
	if to.ProxyAuth != "" {
		b = AppendField(b, "Proxy-Authorization", to.ProxyAuth)
	}
	b = appendConnection(b, r)
	return append(b, "\r\n"...)
}

func expectsBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// appendConnection writes what this connection is asked for: an upgrade, or trailers.
func appendConnection(b []byte, r *http.Request) []byte {
	if protocol := Upgrade(r.Header); protocol != "" {
		return AppendField(append(b, "Connection: Upgrade\r\n"...), "Upgrade", protocol)
	}
	if te := r.Header["Te"]; te != nil && Listed(te, "trailers") {
		return append(b, "Connection: TE\r\nTE: trailers\r\n"...)
	}
	return b
}

// Target is what the function is asked for: r's target in origin form, spelled as the client spelled it, or "*" for
// OPTIONS. It is "" for a target that RFC 9112 (3.2) does not know; net/http lets more through, such as "x:y". Nothing
// else decides what a target may be.
func Target(r *http.Request) string {
	switch {
	case strings.HasPrefix(r.RequestURI, "/"):
		return r.RequestURI
	case r.RequestURI == "*" && r.Method == http.MethodOptions:
		return "*"
	case (r.URL.Scheme == "http" || r.URL.Scheme == "https") && IsVisible(r.URL.Host) && r.URL.Host != "" &&
		(r.URL.Path == "" || r.URL.Path[0] == '/'):
		return r.URL.RequestURI()
	}
	return ""
}

// Upgrade returns the protocol that a message wants to switch to, or "".
func Upgrade(h http.Header) string {
	if protocol := h["Upgrade"]; protocol != nil && Listed(h["Connection"], "upgrade") {
		return protocol[0]
	}
	return ""
}

// FrameChunk puts the chunk size before the n bytes at buf[room:] and the line end after them.
func FrameChunk(buf []byte, room, n int) []byte {
	size := strconv.AppendInt(make([]byte, 0, 8), int64(n), 16)
	start := room - len(size) - 2
	copy(buf[start:], size)
	copy(buf[room-2:], "\r\n")
	copy(buf[room+n:], "\r\n")
	return buf[start : room+n+2]
}

// AppendTrailer writes the last chunk and the trailer after it.
func AppendTrailer(b []byte, trailer http.Header) []byte {
	b = append(b, "0\r\n"...)
	for name, values := range trailer {
		if !InTrailer(name) {
			continue
		}
		for _, value := range values {
			b = AppendField(b, name, value)
		}
	}
	return append(b, "\r\n"...)
}
