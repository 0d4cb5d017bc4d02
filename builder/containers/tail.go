package containers

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// tailLines is how many lines an error shows.
const tailLines = 20

// A tail keeps the last lines of what is written through it.
type tail struct {
	mu    sync.Mutex
	lines []string
	parts map[int]string // of lines that have not ended, by stream
	n     int
	held  bool          // the first byte is that of the watchdog's command hold
	begun chan struct{} // closed when something was written
}

// under returns a writer that passes on to w, which may be nil.
func (t *tail) under(w io.Writer) io.WriteCloser {
	t.n++
	return &tailWriter{tail: t, stream: t.n, w: w}
}

func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := slices.Clone(t.lines)
	for _, stream := range slices.Sorted(maps.Keys(t.parts)) {
		if t.parts[stream] != "" {
			out = append(out, t.parts[stream])
		}
	}
	return out[max(0, len(out)-tailLines):]
}

// tailWidth is how much of a line is kept.
const tailWidth = 1 << 10

func (t *tail) note(stream int, p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.parts == nil {
		t.parts = map[int]string{}
		close(t.begun)
	}
	for line := range strings.Lines(string(p)) {
		whole := strings.HasSuffix(line, "\n")
		line = t.parts[stream] + strings.TrimRight(line, "\r\n")
		line = line[:min(len(line), tailWidth)]
		if !whole {
			t.parts[stream] = line
			continue
		}
		t.parts[stream] = ""
		t.lines = append(t.lines, line)
	}
	if over := len(t.lines) - tailLines; over > 0 {
		t.lines = slices.Delete(t.lines, 0, over)
	}
}

type tailWriter struct {
	tail   *tail
	stream int
	w      io.Writer
}

// Write implements [io.Writer]. What the reader of a log does wrong is not the
// container's fault.
func (t *tailWriter) Write(p []byte) (int, error) {
	all := len(p)
	if t.stream == 1 && t.tail.held && all > 0 {
		t.tail.held = false
		p = bytes.TrimPrefix(p, []byte{0})
	}
	t.tail.note(t.stream, p)
	if t.w != nil && len(p) > 0 {
		_, _ = t.w.Write(p)
	}
	return all, nil
}

// Close implements [io.Closer].
func (t *tailWriter) Close() error {
	if c, ok := t.w.(io.Closer); ok {
		_ = c.Close() // as in Write
	}
	return nil
}
