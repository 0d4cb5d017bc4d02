package wire

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// HeadParser reads plain request heads; what it allocates is used again for the next one.
type HeadParser struct {
	header http.Header
	values []string
}

// Parse fills r from a head that ends with an empty line, and returns the length of the body that
// follows. It is false for every head that is not plain: anything that is not strictly well formed, or
// that asks for more than an answer to one message of known length.
func (p *HeadParser) Parse(head []byte, r *http.Request) (length int, plain bool) {
	if p.header == nil {
		p.header = http.Header{}
	}
	clear(p.header)
	p.values = p.values[:0]
	text := string(head[:len(head)-len("\r\n")])
	line, rest, _ := strings.Cut(text, "\r\n")
	if !parseRequestLine(line, r) {
		return 0, false
	}
	for rest != "" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, ok := splitField(line)
		if !ok {
			return 0, false
		}
		switch name {
		case "Host":
			if r.Host != "" || !validHost(value) {
				return 0, false
			}
			r.Host = value
			continue
		case "Content-Length":
			if _, twice := p.header[name]; twice || len(value) > 5 {
				return 0, false
			}
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil || n > SmallBody {
				return 0, false
			}
			length = int(n)
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return 0, false
			}
		case "Transfer-Encoding", "Expect", "Upgrade", "Te", "Trailer", "Keep-Alive", "Proxy-Connection", "Http2-Settings":
			return 0, false
		}
		p.add(name, value)
	}
	r.Header, r.ContentLength = p.header, int64(length)
	return length, r.Host != ""
}

func (p *HeadParser) add(name, value string) {
	if values, ok := p.header[name]; ok {
		p.header[name] = append(values, value)
		return
	}
	p.values = append(p.values, value)
	at := len(p.values)
	p.header[name] = p.values[at-1 : at : at]
}

// parseRequestLine reads "GET /path?query HTTP/1.1".
func parseRequestLine(line string, r *http.Request) bool {
	method, rest, ok := strings.Cut(line, " ")
	if !ok || !IsToken(method) || method == http.MethodConnect {
		return false
	}
	target, protocol, ok := strings.Cut(rest, " ")
	if !ok || protocol != "HTTP/1.1" || !strings.HasPrefix(target, "/") || !IsVisible(target) {
		return false
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || u.Host != "" {
		return false
	}
	r.Method, r.RequestURI, r.URL = method, target, u
	r.Proto, r.ProtoMajor, r.ProtoMinor = protocol, 1, 1
	return true
}

// splitField takes a header line apart. Leading white space, which would continue the line before, and
// white space before the colon are not well formed.
func splitField(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, ":")
	if !ok || name == "" || !IsToken(name) {
		return "", "", false
	}
	value = strings.Trim(value, " \t")
	if !IsValue(value) {
		return "", "", false
	}
	return canonicalText(name), value, true
}

// validHost is stricter than it has to be; the standard server decides about the rest.
func validHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case bytes.IndexByte([]byte(".-_:[]"), c) >= 0:
		default:
			return false
		}
	}
	return host != ""
}
