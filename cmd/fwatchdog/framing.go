package main

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

const (
	framingLine  = 8 << 10 // a longer line of a head is not followed
	framingAhead = 512     // heads that the server has read and not yet answered; it reads 4 KiB ahead
)

// framing follows the bytes that net/http reads of one connection, to know of each request's head whether it names
// both a length and chunks. The server drops that length before a handler could see it, and reads ahead, so that
// neither the request nor one piece of what was read tells. What is not strictly formed is not followed: from there on
// every request with chunks is in doubt.
type framing struct {
	lost  bool
	state framingState
	line  []byte // begun and not ended
	skip  int64  // bytes of a body or chunk still to come
	head  framedHead
	heads []framedHead // whose requests have not come to the handler yet
}

// framedHead is what matters of one head.
type framedHead struct {
	line    string // the request line
	length  int64
	lengths int // Content-Length fields
	chunks  bool
}

// framingState is what the next line of a connection is.
type framingState int

const (
	lineOfHead framingState = iota
	lineOfChunkSize
	lineAfterChunk
	lineOfTrailer
)

// feed takes the next bytes of the connection.
func (f *framing) feed(p []byte) {
	for len(p) > 0 && !f.lost {
		if f.skip > 0 {
			n := min(f.skip, int64(len(p)))
			f.skip -= n
			p = p[n:]
			continue
		}
		end := bytes.IndexByte(p, '\n') + 1
		part := p
		if end > 0 {
			part = p[:end]
		}
		f.line = append(f.line, part...)
		p = p[len(part):]
		f.lost = len(f.line) > framingLine
		if end > 0 && !f.lost {
			f.lost = !f.endLine()
			f.line = f.line[:0]
		}
	}
	if f.lost {
		f.line = nil
	}
}

// endLine takes a whole line, and is false where it cannot be followed.
func (f *framing) endLine() bool {
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

func (f *framing) headLine(text string) bool {
	h := &f.head
	if h.line == "" {
		h.line = text // after an empty line, which the server ignores or refuses, the next one
		return true
	}
	if text == "" {
		return f.endHead()
	}
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
	}
	return true
}

func (f *framing) endHead() bool {
	h := f.head
	f.head = framedHead{}
	f.heads = append(f.heads, h)
	switch {
	case h.chunks && !strings.HasSuffix(h.line, " HTTP/1.1"), len(f.heads) > framingAhead:
		return false
	case h.chunks:
		f.state = lineOfChunkSize
	default:
		f.skip = h.length
	}
	return true
}

func (f *framing) chunkSize(text string) bool {
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

// ambiguous reports whether r, the next request that comes to the handler, names both a length and chunks, or may.
func (f *framing) ambiguous(r *http.Request) bool {
	if len(f.heads) == 0 {
		return r.TransferEncoding != nil
	}
	h := f.heads[0]
	f.heads = f.heads[1:]
	if len(f.heads) == 0 {
		f.heads = nil
	}
	if r.TransferEncoding == nil {
		return false
	}
	return h.lengths > 0 || !h.chunks || h.line != r.Method+" "+r.RequestURI+" "+r.Proto
}
