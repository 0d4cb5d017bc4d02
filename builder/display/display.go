package display

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/progress/progressui"
	digest "github.com/opencontainers/go-digest"

	"fnb/internal/plain"
)

// A Progress shows the solves of several functions on one display, each line
// with the name of its function. It is safe for concurrent use.
type Progress struct {
	mu     sync.Mutex
	ch     chan *client.SolveStatus // nil with events
	done   chan struct{}
	events io.Writer // of the mode json; nil without
	prefix bool
	closed bool
	begin  func() error // another display, once one has ended

	overview *overview // nil without
}

// New starts a display on w. Mode is auto, tty, plain, json or quiet;
// auto is tty where w is a terminal and plain elsewhere, and tty where w is
// none is an error. With several functions each step is prefixed with its
// function's name. Close has to be called before anything else writes to w.
func New(w io.Writer, mode string, several bool) (*Progress, error) {
	p := &Progress{prefix: several, done: make(chan struct{})}
	switch mode {
	case "quiet":
		close(p.done)
		return p, nil
	case "json":
		p.events = w
		close(p.done)
		return p, nil
	case "auto", "tty", "plain", "":
	default:
		return nil, fmt.Errorf("progress mode %q: it must be auto, tty, plain, json or quiet", mode)
	}
	p.begin = func() error {
		display, err := progressui.NewDisplay(w, progressui.TtyMode)
		if mode == "plain" || err != nil && mode != "tty" {
			display, err = progressui.NewDisplay(&withoutSummary{w: w}, progressui.PlainMode)
		}
		if err != nil {
			return fmt.Errorf("progress mode %q: %w", mode, err)
		}
		p.show(display)
		return nil
	}
	if err := p.begin(); err != nil {
		return nil, err
	}
	return p, nil
}

// show begins to pass on what happens.
func (p *Progress) show(display progressui.Display) {
	ch, done := make(chan *client.SolveStatus, 64), make(chan struct{})
	p.ch, p.done = ch, done
	go func() {
		defer close(done)
		// The display ends when the channel is closed; it has no error then.
		_, _ = display.UpdateFrom(context.Background(), ch)
		for range ch { // and none waits for it
		}
	}()
}

// Pause ends the drawing, so that somebody else can use the terminal, until what it returns
// is called. What happens meanwhile waits.
func (p *Progress) Pause() (resume func()) {
	p.mu.Lock()
	switch {
	case p.closed:
	case p.overview != nil:
		p.overview.mu.Lock()
		p.overview.erase()
		return func() {
			p.overview.mu.Unlock()
			p.mu.Unlock()
		}
	case p.ch != nil:
		close(p.ch)
		<-p.done
		return func() {
			_ = p.begin() // as it did before
			p.mu.Unlock()
		}
	}
	return p.mu.Unlock
}

// IsTerminal reports whether f can be redrawn.
func IsTerminal(f *os.File) bool {
	_, err := progressui.NewDisplay(f, progressui.TtyMode)
	return err == nil
}

// Close waits for the display to have shown everything.
func (p *Progress) Close() {
	p.mu.Lock()
	if !p.closed && p.ch != nil {
		close(p.ch)
	}
	if !p.closed && p.overview != nil {
		close(p.overview.stop)
	}
	p.closed = true
	p.mu.Unlock()
	<-p.done
}

// Update shows what happened to a function.
func (p *Progress) Update(name string, s *client.SolveStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
	case p.overview != nil:
		p.overview.update(name, s)
	case p.events != nil:
		p.encode(name, s)
	case p.ch != nil:
		p.ch <- p.own(name, s)
	}
}

// own gives a function's steps digests of their own, since a step that two
// functions share would show under one of them only, and makes their texts plain:
// BuildKit's displays show them as they are.
func (p *Progress) own(name string, s *client.SolveStatus) *client.SolveStatus {
	id := func(d digest.Digest) digest.Digest {
		return digest.NewDigestFromBytes(digest.SHA256, sum(name, d))
	}
	out := &client.SolveStatus{}
	for _, v := range s.Vertexes {
		c := *v
		c.Digest, c.Inputs = id(v.Digest), nil
		for _, in := range v.Inputs {
			c.Inputs = append(c.Inputs, id(in))
		}
		if c.Name, c.Error = plain.Line(v.Name), plain.Line(v.Error); p.prefix {
			c.Name = label(name, c.Name)
		}
		if v.ProgressGroup != nil {
			c.ProgressGroup = &pb.ProgressGroup{Id: v.ProgressGroup.Id, Name: plain.Line(v.ProgressGroup.Name), Weak: v.ProgressGroup.Weak}
		}
		out.Vertexes = append(out.Vertexes, &c)
	}
	for _, v := range s.Statuses {
		c := *v
		c.Vertex, c.ID, c.Name = id(v.Vertex), plain.Line(v.ID), plain.Line(v.Name)
		out.Statuses = append(out.Statuses, &c)
	}
	for _, v := range s.Logs {
		c := *v
		c.Vertex, c.Data = id(v.Vertex), nil
		for _, line := range plain.Log(string(v.Data)) {
			c.Data = append(append(c.Data, line...), '\n')
		}
		if len(c.Data) > 0 {
			out.Logs = append(out.Logs, &c)
		}
	}
	for _, v := range s.Warnings {
		c := *v
		c.Vertex, c.Short, c.URL, c.Detail = id(v.Vertex), []byte(plain.Line(string(v.Short))), plain.Line(v.URL), nil
		for _, d := range v.Detail {
			c.Detail = append(c.Detail, []byte(plain.Line(string(d))))
		}
		out.Warnings = append(out.Warnings, &c)
	}
	return out
}

func sum(name string, d digest.Digest) []byte {
	h := sha256.Sum256([]byte(name + "\x00" + d.String()))
	return h[:]
}

// label puts a function's name before a step: "[build 2/5] RUN" becomes
// "[hello build 2/5] RUN".
func label(name, step string) string {
	if rest, ok := strings.CutPrefix(step, "["); ok {
		return "[" + name + " " + rest
	}
	return "[" + name + "] " + step
}

// An event is one line of the progress mode json.
type event struct {
	Function string     `json:"function"`
	Event    string     `json:"event"` // step, log, warning, result
	Step     string     `json:"step,omitempty"`
	Name     string     `json:"name,omitempty"`
	Started  *time.Time `json:"started,omitempty"`
	Ended    *time.Time `json:"completed,omitempty"`
	Cached   bool       `json:"cached,omitempty"`
	Stream   int        `json:"stream,omitempty"`
	Text     string     `json:"text,omitempty"`
	Error    string     `json:"error,omitempty"`
	Status   string     `json:"status,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Digest   string     `json:"digest,omitempty"`
}

// An Outcome is what became of a function, as the display shows it.
type Outcome struct {
	Status string // built, cached, pushed, skipped, failed
	Reason string
	Digest string
	Error  string
	Took   time.Duration
}

// Result shows what became of a function.
func (p *Progress) Result(name string, o Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
	case p.overview != nil:
		p.overview.result(name, o)
	case p.events != nil:
		p.emit(event{Function: name, Event: "result", Status: o.Status, Reason: o.Reason, Digest: o.Digest, Error: o.Error})
	}
}

func (p *Progress) encode(name string, s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		p.emit(event{Function: name, Event: "step", Step: v.Digest.Encoded(), Name: v.Name, Started: v.Started, Ended: v.Completed, Cached: v.Cached, Error: v.Error})
	}
	for _, l := range s.Logs {
		p.emit(event{Function: name, Event: "log", Step: l.Vertex.Encoded(), Stream: l.Stream, Text: string(l.Data)})
	}
	for _, w := range s.Warnings {
		p.emit(event{Function: name, Event: "warning", Step: w.Vertex.Encoded(), Text: string(w.Short)})
	}
}

func (p *Progress) emit(e event) {
	if line, err := json.Marshal(e); err == nil { // an event is plain data
		_, _ = p.events.Write(append(plain.JSON(line), '\n')) // progress that nobody reads does not stop a build
	}
}

// withoutSummary leaves out what BuildKit's plain display says once more at its end: the
// log of a step that failed, between two lines of hyphens. All its other lines begin with
// the number of a step. The error of the build has that log, too.
type withoutSummary struct {
	w       io.Writer
	line    []byte
	summary bool
}

// Write implements [io.Writer].
func (s *withoutSummary) Write(p []byte) (int, error) {
	for _, b := range p {
		if s.line = append(s.line, b); b != '\n' {
			continue
		}
		rule := string(s.line) == "------\n"
		if !rule && !s.summary {
			if _, err := s.w.Write(s.line); err != nil {
				return 0, err
			}
		}
		if rule {
			s.summary = !s.summary
		}
		s.line = s.line[:0]
	}
	return len(p), nil
}
