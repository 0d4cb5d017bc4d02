package wire

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

// ErrMalformed is the root of all complaints about an upstream's response.
var ErrMalformed = errors.New("malformed response")

// errHeadTooLarge says that a response head is longer than HeadMost.
var errHeadTooLarge = fmt.Errorf("%w: headers over %d bytes", ErrMalformed, HeadMost)

// Answer is the head of an upstream's response.
type Answer struct {
	Status   int
	Length   int64 // UnknownLength: to the last chunk, or to the end of the connection
	Chunked  bool
	Last     bool // the connection ends with this response
	Bodiless bool // it has no body, whatever its fields say of one

	http11 bool
}

// endless reports whether only the end of the connection ends the body.
func (a *Answer) endless() bool { return a.Length == UnknownLength && !a.Chunked }

// ReadAnswer reads a response head. Its header fields, without those of the connection, go to h; an
// upgrade's stay.
func ReadAnswer(in *bufio.Reader, method string, h http.Header) (*Answer, error) {
	lines := lineReader{in: in, left: HeadMost}
	line, err := lines.next()
	if err != nil {
		return nil, err
	}
	a, err := parseStatus(line)
	if err != nil {
		return nil, err
	}
	if err := lines.readFields(h); err != nil {
		return nil, err
	}
	if err := a.frame(method, h); err != nil {
		return nil, err
	}
	dropConnection(h, a.Status == http.StatusSwitchingProtocols)
	switch {
	case h["Trailer"] == nil:
	case a.Chunked:
		announce(h)
	default:
		delete(h, "Trailer") // none can come
	}
	return a, nil
}

// lineReader reads the lines of a head or a trailer.
type lineReader struct {
	in     *bufio.Reader
	left   int      // bytes that may still come
	strict bool     // a line feed alone ends no line
	values []string // of fields: a few share a piece of memory
}

// next reads up to a line end, which it cuts off. The line is valid until the next read.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	l.left -= len(line)
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) && l.left > 0 {
			line, err = l.in.ReadSlice('\n')
			l.left -= len(line)
			long = append(long, line...)
		}
		line = long
	}
	if l.left <= 0 {
		return nil, errHeadTooLarge
	}
	if err != nil {
		return nil, err
	}
	line = line[:len(line)-1]
	text, whole := bytes.CutSuffix(line, []byte("\r"))
	if l.strict && !whole {
		return nil, fmt.Errorf("%w: line %q ends without a carriage return", ErrMalformed, shorten(line))
	}
	return text, nil
}

// add adds a field to h.
func (l *lineReader) add(h http.Header, name, value string) {
	const most = 4 // values of one piece of memory
	if values, ok := h[name]; ok {
		h[name] = append(values, value)
		return
	}
	if len(l.values) == cap(l.values) {
		l.values = make([]string, 0, most)
	}
	l.values = append(l.values, value)
	at := len(l.values)
	h[name] = l.values[at-1 : at : at]
}

// parseStatus reads "HTTP/1.1 200 OK".
func parseStatus(line []byte) (*Answer, error) {
	const least = len("HTTP/1.1 200")
	a := &Answer{}
	switch {
	case len(line) < least || len(line) > least && line[least] != ' ':
		return nil, fmt.Errorf("%w: status line %q", ErrMalformed, line)
	case bytes.HasPrefix(line, []byte("HTTP/1.1 ")):
		a.http11 = true
	case !bytes.HasPrefix(line, []byte("HTTP/1.0 ")):
		return nil, fmt.Errorf("%w: status line %q", ErrMalformed, line)
	}
	for _, digit := range line[least-3 : least] {
		if digit < '0' || digit > '9' {
			return nil, fmt.Errorf("%w: status line %q", ErrMalformed, line)
		}
		a.Status = a.Status*10 + int(digit-'0')
	}
	if a.Status < 100 || a.Status > 999 {
		return nil, fmt.Errorf("%w: status line %q", ErrMalformed, line)
	}
	return a, nil
}

// readFields reads header fields up to the empty line and adds them to h.
func (l *lineReader) readFields(h http.Header) error {
	for {
		line, err := l.next()
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
		if colon <= 0 || !IsToken(line[:colon]) {
			return fmt.Errorf("%w: header line %q", ErrMalformed, shorten(line))
		}
		value := bytes.Trim(line[colon+1:], " \t")
		if !IsValue(value) {
			return fmt.Errorf("%w: header line %q", ErrMalformed, shorten(line))
		}
		name := canonical(line[:colon])
		l.add(h, name, string(value))
	}
}

func shorten(line []byte) []byte {
	return line[:min(len(line), 80)]
}

// announcesFraming reports whether a Trailer field says that the message will be framed anew after its body. Readers differ in
// what they do then.
func announcesFraming(trailer []string) bool {
	return Listed(trailer, "Content-Length") || Listed(trailer, "Transfer-Encoding") || Listed(trailer, "Trailer")
}

// announce leaves of the Trailer field of h what may be in a trailer and is not in the head already.
func announce(h http.Header) {
	var names []string
	for _, value := range h["Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
			if _, sent := h[name]; !sent && InTrailer(name) {
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
func (a *Answer) frame(method string, h http.Header) error {
	connection := h["Connection"]
	a.Last = Listed(connection, "close") || !a.http11 && !Listed(connection, "keep-alive")
	length, err := declaredLength(h)
	if err != nil {
		return err // also where no body comes: the client reads it, too
	}
	coding := h["Transfer-Encoding"]
	chunked := len(coding) == 1 && strings.EqualFold(coding[0], "chunked") && a.http11
	switch {
	case len(coding) > 0 && !chunked:
		return fmt.Errorf("%w: Transfer-Encoding %q", ErrMalformed, coding)
	case chunked && announcesFraming(h["Trailer"]):
		return fmt.Errorf("%w: Trailer %q", ErrMalformed, h["Trailer"])
	case a.Status < 200 || a.Status == http.StatusNoContent || a.Status == http.StatusNotModified || method == http.MethodHead:
		a.Bodiless = true
	case chunked:
		a.Chunked, a.Length = true, UnknownLength
		// A response with both is read by its chunks, and its connection is not trusted any further.
		a.Last = a.Last || length != UnknownLength
		delete(h, "Content-Length")
	default:
		a.Length = length
		a.Last = a.Last || length == UnknownLength
	}
	return nil
}

// declaredLength is what Content-Length says, once however often it says it; UnknownLength without one.
func declaredLength(h http.Header) (int64, error) {
	lengths := h["Content-Length"]
	if len(lengths) == 0 {
		return UnknownLength, nil
	}
	for _, other := range lengths[1:] {
		if other != lengths[0] {
			return 0, fmt.Errorf("%w: Content-Length %q", ErrMalformed, lengths)
		}
	}
	length, err := strconv.ParseUint(lengths[0], 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: Content-Length %q", ErrMalformed, lengths)
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
		if HopByHop(name) && (!upgrade || name != "Upgrade") {
			delete(h, name)
		}
	}
}

// ReadTrailer reads what follows the last chunk. Its lines end as those of chunks do, with a carriage return and a line
// feed: net/http takes nothing else for the end of a body either.
func ReadTrailer(in *bufio.Reader) (http.Header, error) {
	lines := lineReader{in: in, left: HeadMost, strict: true}
	trailer := http.Header{}
	if err := lines.readFields(trailer); err != nil {
		return nil, err
	}
	for name := range trailer {
		if !InTrailer(name) {
			delete(trailer, name)
		}
	}
	return trailer, nil
}

// Body returns the reader of a's body. A chunked one leaves the trailer to be read.
func (a *Answer) Body(in *bufio.Reader) io.Reader {
	if a.Chunked {
		return httputil.NewChunkedReader(in)
	}
	if a.endless() {
		return in
	}
	return &io.LimitedReader{R: in, N: a.Length}
}
