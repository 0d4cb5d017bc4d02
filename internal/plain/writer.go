package plain

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// A Writer shows a program's output, which arrives in pieces, on a stream that it
// may share: each line whole, behind a prefix, as [Log] returns it. It may be used
// concurrently. Close it to have a last line without an end shown.
type Writer struct {
	shared sync.Locker
	w      io.Writer
	prefix string

	mu       sync.Mutex
	part     []byte // of a line whose end has not come
	returned bool   // the last byte was a carriage return
}

// NewWriter returns a Writer on w, which shared guards. The prefix is shown as it is.
func NewWriter(shared sync.Locker, w io.Writer, prefix string) *Writer {
	return &Writer{shared: shared, w: w, prefix: prefix}
}

// Write takes a piece of the output. It has no error: a log that nobody reads does
// not stop what writes it. What has no end after LineLimit bytes becomes a line.
func (l *Writer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		some := min(len(p), LineLimit)
		l.take(p[:some])
		p = p[some:]
	}
	return n, nil
}

func (l *Writer) take(p []byte) {
	if l.returned && p[0] == '\n' { // the second half of the line's end
		p = p[1:]
	}
	l.returned = false
	l.part = append(l.part, p...)
	end := bytes.LastIndexAny(l.part, "\n\r") + 1
	switch {
	case end > 0:
		l.returned = l.part[end-1] == '\r'
	case len(l.part) >= LineLimit:
		end = len(l.part)
		for back := 1; back < utf8.UTFMax; back++ { // a character may have come in part
			if at := len(l.part) - back; utf8.RuneStart(l.part[at]) {
				if !utf8.FullRune(l.part[at:]) {
					end = at
				}
				break
			}
		}
	}
	l.show(string(l.part[:end]))
	l.part = append(l.part[:0], l.part[end:]...)
}

func (l *Writer) show(text string) {
	var out strings.Builder
	for _, line := range Log(text) {
		out.WriteString(l.prefix + line + "\n")
	}
	if out.Len() == 0 {
		return
	}
	l.shared.Lock()
	defer l.shared.Unlock()
	_, _ = io.WriteString(l.w, out.String())
}

// Close shows what is left of a line whose end never came.
func (l *Writer) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.show(string(l.part))
	l.part, l.returned = nil, false
	return nil
}
