package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"fnb/cmd/fwatchdog/internal/rawio"
	"fnb/cmd/fwatchdog/internal/wire"
)

// logs writes the watchdog's own lines, one line for each request, and the lines of the function's
// process; as text in the format of Go's log package, or as one JSON object a line.
type logs struct {
	out, errs *lineSink
	json      bool // else text
	prefix    bool // text: date, time and stream before the lines of the process
	longest   int  // bytes of one line of the process; -1: no limit
	callID    bool
	function  string
}

// lineSink writes whole lines to one stream, in the order in which they come.
type lineSink struct {
	mu      sync.Mutex
	w       io.Writer
	gathers time.Duration // how long lines of requests wait for others; 0: not at all

	held    []byte // lines that wait
	last    time.Time
	waiting bool // something writes what is held
}

// pipeful is what a pipe takes whole, whoever else writes to it (PIPE_BUF of Linux).
const pipeful = 4096

// write writes lines at once, after those that wait.
func (s *lineSink) write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushed()
	_, _ = s.w.Write(p) // there is nowhere to tell of it
}

// gather writes the line of a request that ended now. A line that follows another one soon waits for more: whoever
// copies a container's log wakes for each write, and so takes as much of the processors as the watchdog does.
func (s *lineSink) gather(p []byte, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	alone := len(s.held) == 0 && now.Sub(s.last) >= s.gathers
	if alone || len(s.held)+len(p) > pipeful {
		s.flushed()
	}
	if alone || len(p) > pipeful {
		s.last = now
		_, _ = s.w.Write(p) // as in write
		return
	}
	s.held = append(s.held, p...)
	if !s.waiting {
		s.waiting = true
		time.AfterFunc(s.gathers, s.flush)
	}
}

// flush writes what waits.
func (s *lineSink) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = false
	s.last = time.Now()
	s.flushed()
}

func (s *lineSink) flushed() {
	if len(s.held) > 0 {
		_, _ = s.w.Write(s.held) // as in write
		s.held = s.held[:0]
	}
}

func newLogs(c *config, out, errs io.Writer) *logs {
	return &logs{
		json: c.logFormat == logFormatJSON,
		out:  &lineSink{w: rawio.NewFile(out)}, errs: &lineSink{w: rawio.NewFile(errs)},
		prefix: c.prefixLogs, longest: c.logBufferSize, callID: c.logCallID, function: c.name,
	}
}

// entry is a line in JSON.
type entry struct {
	Time     time.Time `json:"time"`
	Level    string    `json:"level,omitempty"`
	Stream   string    `json:"stream,omitempty"`
	Msg      string    `json:"msg"`
	Function string    `json:"function,omitempty"`
	*requestEntry
}

// requestEntry is what the line of a request says besides.
type requestEntry struct {
	Method      string  `json:"method"`
	Path        string  `json:"path"`
	Status      int     `json:"status"`
	Bytes       int64   `json:"bytes"`
	Seconds     float64 `json:"seconds"`
	CallID      string  `json:"call_id,omitempty"`
	Traceparent string  `json:"traceparent,omitempty"`
	TraceID     string  `json:"trace_id,omitempty"`
	UserAgent   string  `json:"user_agent,omitempty"`
	Note        string  `json:"note,omitempty"`
}

// appendEntry writes e, at this time, as a line without its end.
func (l *logs) appendEntry(b []byte, e entry) []byte {
	e.Time, e.Function = time.Now(), l.function
	text, _ := json.Marshal(e) // strings, numbers and a time always marshal
	return append(b, text...)
}

// gatherRequests has the lines of requests that end within a moment written together. A process that may be stopped
// between two requests must not ask for it.
func (l *logs) gatherRequests() { l.errs.gathers = 2 * time.Millisecond }

// flush writes what waits, which ends with the watchdog.
func (l *logs) flush() { l.errs.flush() }

// printf writes a line of the watchdog's own. Whatever args hold, it is one line.
func (l *logs) printf(format string, args ...any) {
	text := plainText(fmt.Sprintf(format, args...))
	if l.json {
		l.errs.write(append(l.appendEntry(nil, entry{Level: "INFO", Msg: text}), '\n'))
		return
	}
	line := appendTime(make([]byte, 0, len(text)+24), time.Now())
	l.errs.write(append(append(line, text...), '\n'))
}

// Write takes a message of the HTTP server's, each line of which becomes one here: a panic has a stack. All but the first
// are indented, so that none looks like a message of its own.
func (l *logs) Write(p []byte) (int, error) {
	const indent = "  "
	before := ""
	for line := range strings.Lines(strings.TrimSpace(string(p))) {
		l.printf("%s%s", before, strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", indent))
		before = indent
	}
	return len(p), nil
}

// longestText bounds what one part of a request, or one message, takes of a line.
const longestText = 2 << 10

// appendText writes text that a request may have chosen: in plain characters, so that it begins no line and drives no
// terminal, and at most longestText bytes of it. All such text goes to the log through here.
func appendText(b []byte, text string) []byte {
	if len(text) <= longestText && wire.IsVisible(text) {
		return append(b, text...)
	}
	const end = "…"
	most := len(b) + longestText - len(end)
	for at, r := range text {
		size := len(b)
		switch {
		case strconv.IsPrint(r) && (r != utf8.RuneError || strings.HasPrefix(text[at:], string(utf8.RuneError))):
			b = utf8.AppendRune(b, r)
		case r == utf8.RuneError:
			b = append(b, "\\x"...)
			b = hex.AppendEncode(b, []byte{text[at]})
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b = append(b, quoted[1:len(quoted)-1]...)
		}
		if len(b) > most {
			return append(b[:size], end...)
		}
	}
	return b
}

func plainText(text string) string { return string(appendText(nil, text)) }

func appendTime(b []byte, now time.Time) []byte {
	return now.AppendFormat(b, "2006/01/02 15:04:05 ")
}

// lineBuffers keeps the memory of access log lines.
type lineBuffers struct{ sync.Pool }

func (p *lineBuffers) take() *[]byte {
	if b, ok := p.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, 256)
	return &b
}

// access writes the line of one request, which took so long.
func (l *logs) access(x *exchange, r *http.Request, took time.Duration, pool *lineBuffers) {
	if agent := r.Header["User-Agent"]; agent != nil && strings.HasPrefix(agent[0], "kube-probe") {
		return
	}
	pooled := pool.take()
	now := x.started.Add(took)
	b := (*pooled)[:0]
	if l.json {
		b = l.appendEntry(b, entryOf(x, r, took))
	} else {
		b = l.appendRequest(appendTime(b, now), x, r, took)
	}
	b = append(b, '\n')
	l.errs.gather(b, now)
	*pooled = b
	pool.Put(pooled)
}

// appendRequest writes the line of a request as text, without its time and end.
func (l *logs) appendRequest(b []byte, x *exchange, r *http.Request, took time.Duration) []byte {
	b = appendText(b, r.Method)
	b = append(b, ' ')
	b = appendText(b, r.RequestURI)
	b = append(b, " - "...)
	b = strconv.AppendInt(b, int64(x.status), 10)
	b = append(b, ' ')
	b = append(b, wire.StatusText(x.status)...)
	b = append(b, " - ContentLength: "...)
	b = appendBytes(b, x.written)
	b = append(b, " ("...)
	b = strconv.AppendFloat(b, took.Seconds(), 'f', 4, 64)
	b = append(b, "s)"...)
	if id := r.Header["X-Call-Id"]; l.callID && id != nil {
		b = append(b, " ["...)
		b = appendText(b, id[0])
		b = append(b, ']')
	}
	if x.note != "" {
		b = append(b, ": "...)
		b = appendText(b, x.note)
	}
	return b
}

// appendBytes writes n in the unit that keeps it short.
func appendBytes(b []byte, n int64) []byte {
	const units = "KMGTPE"
	if n < 1024 {
		return append(strconv.AppendInt(b, n, 10), 'B')
	}
	value, unit := float64(n)/1024, 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	b = strconv.AppendFloat(b, value, 'f', 1, 64)
	return append(b, units[unit], 'B')
}

func entryOf(x *exchange, r *http.Request, took time.Duration) entry {
	level := "INFO"
	if x.status >= http.StatusInternalServerError {
		level = "ERROR"
	}
	parent := plainText(r.Header.Get("Traceparent"))
	return entry{Level: level, Msg: "request", requestEntry: &requestEntry{
		Method: plainText(r.Method), Path: plainText(r.RequestURI), Status: x.status, Bytes: x.written, Seconds: took.Seconds(),
		CallID: plainText(r.Header.Get("X-Call-Id")), Traceparent: parent, TraceID: traceID(parent),
		UserAgent: plainText(r.Header.Get("User-Agent")), Note: plainText(x.note),
	}}
}

// traceID is the trace-id of a W3C traceparent, or "" where it has none.
func traceID(parent string) string {
	const at, size = 3, 32
	if len(parent) < at+size+1 || parent[2] != '-' || parent[at+size] != '-' {
		return ""
	}
	return parent[at : at+size]
}

// pump copies the lines of the process's stream from r until its end. No line stops it: what is longer
// than the limit goes out in pieces.
func (l *logs) pump(stream string, r io.Reader) {
	to := l.out
	if stream == "stderr" {
		to = l.errs
	}
	const first = 4 << 10
	buf := make([]byte, 0, first)
	var ready []byte
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		ready, buf = l.takeLines(ready[:0], stream, buf, err != nil)
		if len(ready) > 0 {
			to.write(ready)
		}
		if err != nil {
			return
		}
		if cap(ready) > first*16 {
			ready = nil
		}
	}
}

// lastWords reads a pipe that a process writes its log to: all that comes until the pipe's deadline, and then what is in
// it already. So nothing is lost of what was written before the deadline was set, however late it is read.
type lastWords struct {
	*os.File
	rest io.Reader // nil until the deadline
}

// giveMoment has a [lastWords] of pipe, whose process has ended, wait for other processes no longer than a moment.
func giveMoment(pipe *os.File, moment time.Duration) {
	_ = pipe.SetReadDeadline(time.Now().Add(moment)) // a pipe has deadlines
}

func (w *lastWords) Read(b []byte) (int, error) {
	if w.rest == nil {
		n, err := w.File.Read(b)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		w.rest = rawio.Rest(w.File)
	}
	return w.rest.Read(b)
}

// takeLines moves the complete lines of buf to ready, and the rest of it to its beginning; at the end of
// the stream the rest is a line too.
func (l *logs) takeLines(ready []byte, stream string, buf []byte, end bool) (lines, rest []byte) {
	left := buf
	for len(left) > 0 {
		size, skip := bytes.IndexByte(left, '\n'), 1
		switch {
		case l.longest > 0 && (size > l.longest || size < 0 && len(left) > l.longest):
			size, skip = l.longest, 0
		case size < 0 && end:
			size, skip = len(left), 0
		case size < 0:
			return ready, buf[:copy(buf, left)]
		}
		ready = l.appendLine(ready, stream, left[:size])
		left = left[size+skip:]
	}
	return ready, buf[:0]
}

// appendLine writes one line of the process. In JSON, a line that is a JSON object already stays as it is.
func (l *logs) appendLine(b []byte, stream string, line []byte) []byte {
	switch {
	case l.json && len(line) > 1 && line[0] == '{' && json.Valid(line):
		b = append(b, line...)
	case l.json:
		b = l.appendEntry(b, entry{Stream: stream, Msg: string(bytes.TrimSuffix(line, []byte("\r")))})
	case l.prefix:
		b = appendTime(b, time.Now())
		b = append(append(b, stream...), ": "...)
		b = append(b, line...)
	default:
		b = append(b, line...)
	}
	return append(b, '\n')
}
