package main

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"fnb/cmd/fwatchdog/internal/wire"
)

// plainWriter is the http.ResponseWriter of a plainConn. It keeps a short answer back until it is complete, and
// sends head and body in one piece.
type plainWriter struct {
	conn    *plainConn
	request *http.Request
	header  http.Header

	out      []byte // head and framed body, to be sent
	body     []byte // of an answer whose framing is still open
	status   int
	declared int64 // by Content-Length; unknownLength: none
	written  int64
	open     bool // whether the length goes before the body, or chunks do, is not decided yet
	chunked  bool
	typed    bool // the handler has said what the Content-Type is, or that there is none
	failed   error
}

func (w *plainWriter) reset(r *http.Request) {
	clear(w.header)
	*w = plainWriter{conn: w.conn, request: r, header: w.header, out: w.out[:0], body: w.body[:0], declared: wire.UnknownLength}
}

// Header returns the header fields that WriteHeader will send.
func (w *plainWriter) Header() http.Header { return w.header }

// WriteHeader begins an answer; an interim one is sent at once.
func (w *plainWriter) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.appendStatus(status)
	if status < http.StatusOK {
		w.appendHeader()
		w.out = append(w.out, "\r\n"...)
		w.send()
		return
	}
	w.status = status
	w.appendHeader()
	if _, ok := w.header["Date"]; !ok {
		w.out = append(w.out, "Date: "...)
		w.out = time.Now().UTC().AppendFormat(w.out, http.TimeFormat)
		w.out = append(w.out, "\r\n"...)
	}
	if w.conn.server.draining.Load() || w.header["Connection"] != nil { // which can be "close" only
		w.out = append(w.out, "Connection: close\r\n"...)
	}
	lengths := w.header["Content-Length"]
	_, w.typed = w.header["Content-Type"]
	w.typed = w.typed || w.header["Content-Encoding"] != nil
	switch {
	case status == http.StatusNoContent || status == http.StatusNotModified:
		w.declared = 0
		w.typed = true
		w.endHead()
	case len(lengths) > 0:
		if n, err := strconv.ParseInt(lengths[0], 10, 64); err == nil && n >= 0 {
			w.declared = n
			w.out = wire.AppendField(w.out, "Content-Length", lengths[0])
			break
		}
		w.open = true
	default:
		w.open = true
	}
	if w.header["Trailer"] != nil && w.open {
		w.chunk(nil)
	}
}

func (w *plainWriter) appendStatus(status int) {
	w.out = append(w.out, "HTTP/1.1 "...)
	w.out = strconv.AppendInt(w.out, int64(status), 10)
	w.out = append(w.out, ' ')
	w.out = append(w.out, wire.StatusText(status)...)
	w.out = append(w.out, "\r\n"...)
}

// appendHeader writes the fields but for those that frame the message.
func (w *plainWriter) appendHeader() {
	for name, values := range w.header {
		switch name {
		case "Content-Length", "Transfer-Encoding", "Connection":
			continue
		}
		if strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		for _, value := range values {
			if strings.ContainsAny(value, "\r\n") {
				value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
			}
			w.out = wire.AppendField(w.out, name, value)
		}
	}
}

// guessType adds the Content-Type that p looks like, where the handler has not said any.
func (w *plainWriter) guessType(p []byte) {
	if !w.typed && len(p) > 0 {
		w.out = wire.AppendField(w.out, "Content-Type", http.DetectContentType(p))
	}
	w.typed = true
}

func (w *plainWriter) endHead() {
	w.out = append(w.out, "\r\n"...)
	w.open = false
}

// chunk decides for chunks, and makes the first of what was kept back and p.
func (w *plainWriter) chunk(p []byte) {
	first := w.body
	if len(first) == 0 {
		first = p
	}
	w.guessType(first)
	w.out = append(w.out, "Transfer-Encoding: chunked\r\n"...)
	w.endHead()
	w.chunked = true
	w.appendChunk(w.body)
	w.body = w.body[:0]
}

func (w *plainWriter) appendChunk(p []byte) {
	if len(p) == 0 || w.request.Method == http.MethodHead {
		return
	}
	w.out = strconv.AppendInt(w.out, int64(len(p)), 16)
	w.out = append(w.out, "\r\n"...)
	w.out = append(w.out, p...)
	w.out = append(w.out, "\r\n"...)
}

// Write adds p to the answer's body.
func (w *plainWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case len(p) == 0:
		return 0, w.failed
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified:
		return 0, http.ErrBodyNotAllowed
	case w.declared != wire.UnknownLength && w.written+int64(len(p)) > w.declared:
		return 0, http.ErrContentLength
	}
	first := w.written == 0
	w.written += int64(len(p))
	switch {
	case w.declared != wire.UnknownLength:
		w.writeKnown(p, first)
	case w.open && len(w.body)+len(p) <= plainOutput:
		w.body = append(w.body, p...)
	default:
		if w.open {
			w.chunk(p)
		}
		w.appendChunk(p)
		if len(w.out) >= plainOutput {
			w.send()
		}
	}
	return len(p), w.failed
}

func (w *plainWriter) writeKnown(p []byte, first bool) {
	if first {
		w.guessType(p)
		w.endHead()
	}
	switch {
	case w.request.Method == http.MethodHead:
	case len(w.out)+len(p) <= plainOutput:
		w.out = append(w.out, p...)
	case w.failed == nil:
		parts := net.Buffers{w.out, p}
		_, w.failed = parts.WriteTo(w.conn.TCPConn)
		w.out = w.out[:0]
	}
}

// ReadFrom copies src to the client; the kernel does it where the answer's length is known.
func (w *plainWriter) ReadFrom(src io.Reader) (int64, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.declared == wire.UnknownLength || !w.typed || w.request.Method == http.MethodHead || w.failed != nil {
		return io.Copy(struct{ io.Writer }{w}, src)
	}
	if w.written == 0 && w.declared > 0 {
		w.endHead()
	}
	w.send()
	if w.failed != nil {
		return 0, w.failed
	}
	left := w.declared - w.written
	limited, ok := src.(*io.LimitedReader) // the kernel moves the bytes only of one that is not wrapped again
	if !ok || limited.N > left {
		limited = &io.LimitedReader{R: src, N: left}
	}
	n, err := w.conn.TCPConn.ReadFrom(limited)
	w.written += n
	return n, err
}

// Flush sends what has been written so far.
func (w *plainWriter) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.open:
		w.chunk(nil)
	case w.declared > 0 && w.written == 0:
		return // the head waits for the first bytes, which may say the Content-Type
	}
	w.send()
}

func (w *plainWriter) send() {
	if len(w.out) > 0 && w.failed == nil {
		_, w.failed = w.conn.Write(w.out)
	}
	w.out = w.out[:0]
}

// finish sends the rest of the answer, and reports whether the connection can carry another one.
func (w *plainWriter) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	head := w.request.Method == http.MethodHead
	switch {
	case w.open:
		w.guessType(w.body)
		if !head || len(w.body) > 0 {
			w.out = append(w.out, "Content-Length: "...)
			w.out = strconv.AppendInt(w.out, int64(len(w.body)), 10)
			w.out = append(w.out, "\r\n"...)
		}
		w.endHead()
		if !head {
			w.out = append(w.out, w.body...)
		}
	case w.chunked && !head:
		w.out = append(w.out, "0\r\n"...)
		w.appendTrailer()
		w.out = append(w.out, "\r\n"...)
	case w.declared >= 0 && w.written == 0 && w.status != http.StatusNoContent && w.status != http.StatusNotModified:
		w.endHead()
	}
	w.send()
	whole := head || w.declared == wire.UnknownLength || w.written == w.declared
	if cap(w.out) > 4*plainOutput {
		w.out = nil
	}
	return whole && w.failed == nil && w.header["Connection"] == nil
}

// appendTrailer writes the fields that were announced, and those marked as trailers.
func (w *plainWriter) appendTrailer() {
	for name, values := range w.header {
		marked, ok := strings.CutPrefix(name, http.TrailerPrefix)
		if !ok && !wire.Listed(w.header["Trailer"], name) {
			continue
		}
		for _, value := range values {
			w.out = wire.AppendField(w.out, marked, value)
		}
	}
}

// SetReadDeadline is for http.ResponseController.
func (w *plainWriter) SetReadDeadline(t time.Time) error {
	w.conn.readDeadline = t
	return w.conn.SetReadDeadline(t)
}

// SetWriteDeadline is for http.ResponseController.
func (w *plainWriter) SetWriteDeadline(t time.Time) error {
	w.conn.writeDeadline = t
	return w.conn.SetWriteDeadline(t)
}

// EnableFullDuplex is for http.ResponseController; the body has been read before the answer begins.
func (w *plainWriter) EnableFullDuplex() error { return nil }
