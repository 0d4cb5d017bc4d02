package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
)

// headMost bounds the bytes of one response head, and of one trailer.
const headMost = 1 << 20

// errMalformed is the root of all complaints about an upstream's response.
var errMalformed = errors.New("malformed response")

// errHeadTooLarge says that a response head is longer than headMost.
var errHeadTooLarge = fmt.Errorf("%w: headers over %d bytes", errMalformed, headMost)

// bodyLength of a response whose length is not known beforehand.
const unknownLength = -1

// answer is the head of an upstream's response.
type answer struct {
	status  int
	http11  bool
	length  int64 // unknownLength: to the last chunk, or to the end of the connection
	chunked bool
	last    bool // the connection ends with this response

	bodiless bool // it has no body, whatever its fields say of one
}

// endless reports whether only the end of the connection ends the body.
func (a *answer) endless() bool { return a.length == unknownLength && !a.chunked }

// hopByHop reports whether the header field name, in canonical form, concerns one connection only.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// listed reports whether token is an element of a comma-separated field, in any case.
func listed(values []string, token string) bool {
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(element), token) {
				return true
			}
		}
	}
	return false
}

// appendRequestHead writes the head of r for the upstream u onto b. length is the body's, or
// unknownLength for a chunked one.
func appendRequestHead(b []byte, u *upstream, r *http.Request, length int64) []byte {
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, u.prefix...)
	b = append(b, targetOf(r)...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, "\r\n"...)
	connection := r.Header["Connection"]
	for name, values := range r.Header {
		// A trailer is announced below, if one can come.
		if name == "Content-Length" || name == "Host" || name == "Trailer" || hopByHop(name) || connection != nil && listed(connection, name) {
			continue
		}
		for _, value := range values {
			b = appendField(b, name, value)
		}
	}
	switch {
	case length == unknownLength:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		for name := range r.Trailer {
			if inTrailer(name) {
				b = appendField(b, "Trailer", name)
			}
		}
	case length > 0 || r.Header["Content-Length"] != nil || expectsBody(r.Method):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, length, 10)
		b = append(b, "\r\n"...)
	}
	if u.proxyAuth != "" {
		b = appendField(b, "Proxy-Authorization", u.proxyAuth)
	}
	b = appendConnection(b, r)
	return append(b, "\r\n"...)
}

func expectsBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// appendConnection writes what this connection is asked for: an upgrade, or trailers.
func appendConnection(b []byte, r *http.Request) []byte {
	if protocol := upgradeOf(r.Header); protocol != "" {
		return appendField(append(b, "Connection: Upgrade\r\n"...), "Upgrade", protocol)
	}
	if te := r.Header["Te"]; te != nil && listed(te, "trailers") {
		return append(b, "Connection: TE\r\nTE: trailers\r\n"...)
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// targetOf is what the function is asked for: r's target in origin form, spelled as the client spelled it, or "*" for
// OPTIONS. It is "" for a target that RFC 9112 (3.2) does not know; net/http lets more through, such as "x:y". Nothing
// else decides what a target may be.
func targetOf(r *http.Request) string {
	switch {
	case strings.HasPrefix(r.RequestURI, "/"):
		return r.RequestURI
	case r.RequestURI == "*" && r.Method == http.MethodOptions:
		return "*"
	case (r.URL.Scheme == "http" || r.URL.Scheme == "https") && visible(r.URL.Host) && r.URL.Host != "" &&
		(r.URL.Path == "" || r.URL.Path[0] == '/'):
		return r.URL.RequestURI()
	}
	return ""
}

// upgradeOf returns the protocol that a message wants to switch to, or "".
func upgradeOf(h http.Header) string {
	if protocol := h["Upgrade"]; protocol != nil && listed(h["Connection"], "upgrade") {
		return protocol[0]
	}
	return ""
}

// readAnswer reads a response head. Its header fields, without those of the connection, go to h; an
// upgrade's stay.
func readAnswer(in *bufio.Reader, method string, h http.Header) (*answer, error) {
	budget := headMost
	line, err := readLine(in, &budget)
	if err != nil {
		return nil, err
	}
	a, err := parseStatus(line)
	if err != nil {
		return nil, err
	}
	if err := readFields(in, &budget, h); err != nil {
		return nil, err
	}
	if err := a.frame(method, h); err != nil {
		return nil, err
	}
	dropConnection(h, a.status == http.StatusSwitchingProtocols)
	switch {
	case h["Trailer"] == nil:
	case a.chunked:
		announce(h)
	default:
		delete(h, "Trailer") // none can come
	}
	return a, nil
}

// readLine reads up to a line end, which it cuts off. The line is valid until the next read.
func readLine(in *bufio.Reader, budget *int) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	*budget -= len(line)
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) && *budget > 0 {
			line, err = in.ReadSlice('\n')
			*budget -= len(line)
			long = append(long, line...)
		}
		line = long
	}
	if *budget <= 0 {
		return nil, errHeadTooLarge
	}
	if err != nil {
		return nil, err
	}
	line = line[:len(line)-1]
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// parseStatus reads "HTTP/1.1 200 OK".
func parseStatus(line []byte) (*answer, error) {
	const least = len("HTTP/1.1 200")
	a := &answer{}
	switch {
	case len(line) < least || len(line) > least && line[least] != ' ':
		return nil, fmt.Errorf("%w: status line %q", errMalformed, line)
	case bytes.HasPrefix(line, []byte("HTTP/1.1 ")):
		a.http11 = true
	case !bytes.HasPrefix(line, []byte("HTTP/1.0 ")):
		return nil, fmt.Errorf("%w: status line %q", errMalformed, line)
	}
	for _, digit := range line[least-3 : least] {
		if digit < '0' || digit > '9' {
			return nil, fmt.Errorf("%w: status line %q", errMalformed, line)
		}
		a.status = a.status*10 + int(digit-'0')
	}
	if a.status < 100 || a.status > 999 {
		return nil, fmt.Errorf("%w: status line %q", errMalformed, line)
	}
	return a, nil
}

// readFields reads header fields up to the empty line and adds them to h.
func readFields(in *bufio.Reader, budget *int, h http.Header) error {
	for {
		line, err := readLine(in, budget)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		if len(line) == 0 {
			return nil
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || !isToken(line[:colon]) {
			return fmt.Errorf("%w: header line %q", errMalformed, shorten(line))
		}
		value := bytes.Trim(line[colon+1:], " \t")
		if !isValue(value) {
			return fmt.Errorf("%w: header line %q", errMalformed, shorten(line))
		}
		name := canonical(line[:colon])
		if values, ok := h[name]; ok {
			h[name] = append(values, string(value))
		} else {
			h[name] = []string{string(value)}
		}
	}
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

func shorten(line []byte) []byte {
	return line[:min(len(line), 80)]
}

// isToken reports whether name can be a header field's name (RFC 9110, 5.6.2).
func isToken(name []byte) bool {
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return len(name) > 0
}

// isValue reports whether value can be a header field's value: no control character but the tab (RFC 9110, 5.5).
func isValue(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// inTrailer reports whether the field name, in canonical form, may come after a body. One that frames the message, routes
// it or says how to read it may not: who reads it late has acted without it, or acts a second time (RFC 9110, 6.5.1).
func inTrailer(name string) bool {
	switch name {
	case "Authorization", "Cache-Control", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type", "Expect", "Host",
		"Max-Forwards", "Pragma", "Range", "Set-Cookie", "Trailer", "Www-Authenticate":
		return false
	}
	return !hopByHop(name) && !strings.HasPrefix(name, "If-") && isToken([]byte(name))
}

// announce leaves of the Trailer field of h what may be in a trailer and is not in the head already.
func announce(h http.Header) {
	var names []string
	for _, value := range h["Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
			if _, sent := h[name]; !sent && inTrailer(name) {
				names = append(names, name)
			}
		}
	}
	delete(h, "Trailer")
	if names != nil {
		h["Trailer"] = names
	}
}

// frame finds where the body ends (RFC 9112, 6.3).
func (a *answer) frame(method string, h http.Header) error {
	connection := h["Connection"]
	a.last = listed(connection, "close") || !a.http11 && !listed(connection, "keep-alive")
	length, err := declaredLength(h)
	if err != nil {
		return err // also where no body comes: the client reads it, too
	}
	coding := h["Transfer-Encoding"]
	chunked := len(coding) == 1 && strings.EqualFold(coding[0], "chunked") && a.http11
	switch {
	case len(coding) > 0 && !chunked:
		return fmt.Errorf("%w: Transfer-Encoding %q", errMalformed, coding)
	case a.status < 200 || a.status == http.StatusNoContent || a.status == http.StatusNotModified || method == http.MethodHead:
		a.bodiless = true
	case chunked:
		a.chunked, a.length = true, unknownLength
		// A response with both is read by its chunks, and its connection is not trusted any further.
		a.last = a.last || length != unknownLength
		delete(h, "Content-Length")
	default:
		a.length = length
		a.last = a.last || length == unknownLength
	}
	return nil
}

// declaredLength is what Content-Length says, once however often it says it; unknownLength without one.
func declaredLength(h http.Header) (int64, error) {
	lengths := h["Content-Length"]
	if len(lengths) == 0 {
		return unknownLength, nil
	}
	for _, other := range lengths[1:] {
		if other != lengths[0] {
			return 0, fmt.Errorf("%w: Content-Length %q", errMalformed, lengths)
		}
	}
	length, err := strconv.ParseUint(lengths[0], 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: Content-Length %q", errMalformed, lengths)
	}
	h["Content-Length"] = lengths[:1]
	return int64(length), nil
}

// dropConnection removes from h what concerns the connection to the upstream only.
func dropConnection(h http.Header, upgrade bool) {
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			if name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)); !upgrade || name != "Upgrade" {
				delete(h, name)
			}
		}
	}
	for name := range h {
		if hopByHop(name) && (!upgrade || name != "Upgrade") {
			delete(h, name)
		}
	}
}

// readTrailer reads what follows the last chunk.
func readTrailer(in *bufio.Reader) (http.Header, error) {
	budget := headMost
	trailer := http.Header{}
	if err := readFields(in, &budget, trailer); err != nil {
		return nil, err
	}
	for name := range trailer {
		if !inTrailer(name) {
			delete(trailer, name)
		}
	}
	return trailer, nil
}

// bodyOf returns the reader of a's body. A chunked one leaves the trailer to be read.
func (a *answer) bodyOf(in *bufio.Reader) io.Reader {
	if a.chunked {
		return httputil.NewChunkedReader(in)
	}
	if a.endless() {
		return in
	}
	return &io.LimitedReader{R: in, N: a.length}
}
