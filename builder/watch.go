package builder

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	digest "github.com/opencontainers/go-digest"
)

// logTail is how many lines of a failing step's output an error shows.
const logTail = 20

// A watch follows the status of one solve: it keeps what an error needs and
// hands everything on to the display, without the secrets.
type watch struct {
	req      *Request
	redact   *strings.Replacer
	steps    map[digest.Digest]*step
	warnings []string
}

// A step is one vertex of the solve.
type step struct {
	name      string
	cached    bool
	completed bool
	lines     []string
	partial   string
}

func newWatch(req *Request) *watch {
	return &watch{req: req, redact: redactor(req.Secrets), steps: map[digest.Digest]*step{}}
}

// redactor replaces every secret, and every line of one that has several.
// A value under 4 bytes would blot out ordinary text and is left.
func redactor(secrets map[string][]byte) *strings.Replacer {
	var pairs []string
	for _, value := range secrets {
		for _, s := range append(strings.Split(string(value), "\n"), string(value)) {
			if s = strings.TrimSpace(s); len(s) >= 4 {
				pairs = append(pairs, s, "***")
			}
		}
	}
	return strings.NewReplacer(pairs...)
}

// run takes the statuses until the solve has ended.
func (w *watch) run(ch <-chan *client.SolveStatus) {
	for s := range ch {
		w.note(s)
		if w.req.Progress != nil {
			w.req.Progress.update(w.req.Name, s)
		}
	}
	if w.req.Progress != nil {
		if s := w.rest(); len(s.Logs) > 0 {
			w.req.Progress.update(w.req.Name, s)
		}
	}
}

func (w *watch) note(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		st := w.step(v.Digest)
		st.name = v.Name
		st.cached = st.cached || v.Cached
		st.completed = st.completed || v.Completed != nil
		v.Error = w.redact.Replace(v.Error)
	}
	var logs []*client.VertexLog
	for _, l := range s.Logs {
		if l.Data = w.whole(w.step(l.Vertex), l.Data); len(l.Data) > 0 {
			logs = append(logs, l)
		}
	}
	s.Logs = logs
	for _, warn := range s.Warnings {
		text := w.redact.Replace(string(warn.Short))
		if !slices.Contains(w.warnings, text) {
			w.warnings = append(w.warnings, text)
		}
	}
}

func (w *watch) step(d digest.Digest) *step {
	st := w.steps[d]
	if st == nil {
		st = &step{}
		w.steps[d] = st
	}
	return st
}

// whole returns the lines that data completes, redacted. The rest waits for its
// end, so that a secret cut in two is still found.
func (w *watch) whole(st *step, data []byte) []byte {
	text := st.partial + string(data)
	end := strings.LastIndexAny(text, "\n\r") + 1
	if end == 0 && len(text) > 64<<10 {
		end = len(text)
	}
	st.partial = text[end:]
	text = w.redact.Replace(text[:end])
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) != "" {
			st.lines = append(st.lines, line)
		}
	}
	if over := len(st.lines) - logTail; over > 0 {
		st.lines = slices.Delete(st.lines, 0, over)
	}
	return []byte(text)
}

// rest returns the last lines of steps whose output ended without a newline.
func (w *watch) rest() *client.SolveStatus {
	s := &client.SolveStatus{}
	for d, st := range w.steps {
		if st.partial != "" {
			if data := w.whole(st, []byte("\n")); len(data) > 0 {
				s.Logs = append(s.Logs, &client.VertexLog{Vertex: d, Stream: 1, Data: data})
			}
		}
	}
	return s
}

// cachedPart is the share of the Dockerfile's steps that came from the cache.
func (w *watch) cachedPart() float64 {
	var cached, all float64
	for _, st := range w.steps {
		if !strings.HasPrefix(st.name, "[") || strings.HasPrefix(st.name, "[internal]") || strings.HasPrefix(st.name, "[fnb]") || strings.Contains(st.name, "] FROM ") {
			continue
		}
		all++
		if st.cached {
			cached++
		}
	}
	if all == 0 {
		return 1
	}
	return cached / all
}

// explain turns BuildKit's chain of errors into one that says which step
// failed.
func (c *Client) explain(err error, w *watch) error {
	var se *SolveError
	if errors.As(err, &se) {
		return se
	}
	if lost(err) {
		return &UnreachableError{Address: c.address, Err: errors.New("it went away in the middle of the solve")}
	}
	out := &SolveError{Problem: w.redact.Replace(problem(err)), Err: err}
	var ve *errdefs.VertexError
	if errors.As(err, &ve) {
		if st := w.steps[digest.Digest(ve.Digest)]; st != nil {
			w.whole(st, []byte("\n"))
			out.Step, out.Log = w.redact.Replace(st.name), st.lines
		}
	}
	if sources := errdefs.Sources(err); len(sources) > 0 {
		src := sources[len(sources)-1]
		if src.Info != nil {
			out.File = src.Info.Filename
		}
		if len(src.Ranges) > 0 && src.Ranges[0].Start != nil {
			out.Line = int(src.Ranges[0].Start.Line)
		}
	}
	return out
}

// lost reports whether the connection broke, rather than a step.
func lost(err error) bool {
	s := err.Error()
	return strings.Contains(s, "code = Unavailable") || strings.Contains(s, "error reading from server") ||
		strings.Contains(s, "transport is closing") || strings.Contains(s, "use of closed network connection")
}

var wrappers = regexp.MustCompile(`^(failed to solve|failed to run Build function|rpc error: code = \w+ desc|failed to compute cache key|failed to calculate checksum of ref \S+|failed to load cache key|failed to read dockerfile|dockerfile parse error on line \d+|process "[^"]*")(: | = )`)

// problem is the innermost part of BuildKit's message that a person can use.
func problem(err error) string {
	s := err.Error()
	for {
		t := s
		if strings.HasPrefix(s, "process ") { // process "/bin/sh -c …" did not complete successfully: exit code: 1
			break
		}
		if t = wrappers.ReplaceAllString(s, ""); t == s {
			break
		}
		s = t
	}
	s, _, _ = strings.Cut(s, "\n")
	return strings.ToValidUTF8(s, "�")
}
