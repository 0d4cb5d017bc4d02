// Package framing follows the bytes of HTTP/1.1 that net/http reads of a connection, with [Framing], to know of each
// request whether two readers may see different ends of it.
package framing

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// EmptyLines are how many are ignored before a request line, for clients that send one after a body (RFC 9112, 2.2).
const EmptyLines = 2

const (
	mostLine  = 8 << 10 // a longer line of a head is not followed
	mostAhead = 512     // heads that the server has read and not yet answered; it reads 4 KiB ahead
)

// A Framing follows one connection. Its zero value does so from the first request. It knows of each head whether that
// names both a length and chunks. The server drops that length before a handler could see it, and reads ahead, so that
// neither the request nor one piece of what was read tells. What is not strictly formed is not followed: from there on
// every request with chunks is in doubt.
type Framing struct {
	lost  bool
	state state
	line  []byte // begun and not ended
	skip  int64  // bytes of a body or chunk still to come
	head  head
	heads []head // whose requests have not come to the handler yet

	empty    int  // lines before the request line
	held     bool // a carriage return before the request line, which may be an empty line's
	upgrades bool // a request has asked for an upgrade
}

// head is what matters of one head.
type head struct {
	line    string // the request line
	length  int64
	lengths int // Content-Length fields
	chunks  bool
	folded  bool // a line may go on the one before
}

// state is what the next line of a connection is.
type state int

const (
	lineOfHead state = iota
	lineOfChunkSize
	lineAfterChunk
	lineOfTrailer
)

// AfterEmptyLines follows a connection from its first request, before which empty lines have been taken out already.
func AfterEmptyLines() *Framing { return &Framing{empty: EmptyLines} }

// Feed takes the next bytes of the connection, and returns how many are left in p for the server: empty lines before a
// request line are taken out, since a client may end a body with one (RFC 9112, 2.2).
func (f *Framing) Feed(p []byte) int {
	kept := 0
	for rest := p; len(rest) > 0; {
		n, drop := f.take(rest)
		if !drop {
			if kept < len(p)-len(rest) {
				copy(p[kept:], rest[:n])
			}
			kept += n
		}
		rest = rest[n:]
	}
	return kept
}

// take takes some of rest, which is not empty. It is not for the server if drop is true.
func (f *Framing) take(rest []byte) (n int, drop bool) {
	switch {
	case f.lost:
		return len(rest), false
	case f.skip > 0:
		n = int(min(f.skip, int64(len(rest))))
		f.skip -= int64(n)
		return n, false
	case f.held:
		f.held = false
		if rest[0] == '\n' {
			f.empty++
			return 1, true
		}
		rest[0], f.lost = 0, true // a carriage return alone begins no request: the server refuses this as well
		return 1, false
	case rest[0] == '\r' && f.empty < EmptyLines && f.begins():
		f.held = true
		return 1, true
	}
	end := bytes.IndexByte(rest, '\n') + 1
	n = end
	if end == 0 {
		n = len(rest)
	}
	f.line = append(f.line, rest[:n]...)
	f.lost = len(f.line) > mostLine || end > 0 && !f.endLine()
	switch {
	case f.lost:
		f.line = nil
	case end > 0:
		f.line = f.line[:0]
	}
	return n, false
}

// begins reports whether the next byte is the first of a request line. After a request for an upgrade it may be one of
// another protocol.
func (f *Framing) begins() bool {
	return f.state == lineOfHead && f.head.line == "" && len(f.line) == 0 && !f.upgrades
}

// endLine takes a whole line, and is false where it cannot be followed.
func (f *Framing) endLine() bool {
	text, strict := strings.CutSuffix(string(f.line), "\r\n")
	if !strict {
		return false
	}
	switch f.state {
	case lineOfHead:
		return f.headLine(text)
	case lineOfChunkSize:
		return f.chunkSize(text)
	case lineAfterChunk:
		f.state = lineOfChunkSize
		return text == ""
	}
	if text == "" {
		f.state = lineOfHead
	}
	return true
}

func (f *Framing) headLine(text string) bool {
	h := &f.head
	if h.line == "" {
		h.line = text // after an empty line, which the server ignores or refuses, the next one
		return true
	}
	if text == "" {
		return f.endHead()
	}
	h.folded = h.folded || text[0] == ' ' || text[0] == '\t'
	name, value, _ := strings.Cut(text, ":")
	switch {
	case strings.EqualFold(strings.TrimSpace(name), "Content-Length"):
		n, err := strconv.ParseUint(strings.Trim(value, " \t"), 10, 63)
		if err != nil || h.lengths > 0 && int64(n) != h.length {
			return false // the server refuses it
		}
		h.length = int64(n)
		h.lengths++
	case strings.EqualFold(strings.TrimSpace(name), "Transfer-Encoding"):
		h.chunks = true
	case strings.EqualFold(strings.TrimSpace(name), "Upgrade"):
		f.upgrades = true
	}
	return true
}

func (f *Framing) endHead() bool {
	h := f.head
	f.head, f.empty = head{}, 0
	f.heads = append(f.heads, h)
	switch {
	case h.chunks && !strings.HasSuffix(h.line, " HTTP/1.1"), len(f.heads) > mostAhead:
		return false
	case h.chunks:
		f.state = lineOfChunkSize
	default:
		f.skip = h.length
	}
	return true
}

func (f *Framing) chunkSize(text string) bool {
	digits, _, _ := strings.Cut(text, ";")
	size, err := strconv.ParseUint(strings.TrimRight(digits, " \t"), 16, 60)
	if err != nil {
		return false
	}
	f.skip, f.state = int64(size), lineAfterChunk
	if size == 0 {
		f.state = lineOfTrailer
	}
	return true
}

// Ambiguous reports of r, the next request that comes to the handler, whether it names both a length and chunks, and
// whether it may.
func (f *Framing) Ambiguous(r *http.Request) (is, may bool) {
	if len(f.heads) == 0 {
		return false, r.TransferEncoding != nil
	}
	h := f.heads[0]
	f.heads = f.heads[1:]
	if len(f.heads) == 0 {
		f.heads = nil
	}
	if r.TransferEncoding == nil {
		return false, false
	}
	sure := h.chunks && !h.folded && h.line == r.Method+" "+r.RequestURI+" "+r.Proto
	return sure && h.lengths > 0, !sure || h.lengths > 0
}
