package builder

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	digest "github.com/opencontainers/go-digest"

	"fnb/builder/buildcache"
	"fnb/builder/protocol"
	"fnb/builder/steps"
	"fnb/internal/lazyregexp"
	"fnb/internal/plain"
)

// logTail is how many lines of a failing step's output an error shows.
const logTail = 20

// partialLimit is how much of a line may wait for its end.
const partialLimit = 64 << 10

// A watch follows the status of one solve: it keeps what an error needs and
// hands everything on to the display, without the secrets.
type watch struct {
	req      *Request
	redact   redactor
	steps    map[digest.Digest]*step
	warnings []Warning
	lints    []string
	pushed   map[string]int64 // bytes of each layer
	failures chan string      // has the name of the first step that failed
}

// A step is one vertex of the solve.
type step struct {
	name    string
	cached  bool
	problem string   // why it failed
	lines   []string // the last of its output
	partial string   // of the line that has not ended
	back    bool     // the last byte was a carriage return
	usage   bool     // a tool's help on its flags is under way
}

func newWatch(req *Request) *watch {
	secrets := map[string][]byte{}
	maps.Copy(secrets, req.Secrets)
	for _, c := range slices.Concat(req.CacheFrom, req.CacheTo) {
		for _, s := range c.Secrets() {
			secrets[string(s)] = s
		}
	}
	return &watch{req: req, redact: newRedactor(secrets), steps: map[digest.Digest]*step{}, pushed: map[string]int64{}, failures: make(chan string, 1)}
}

// A redactor takes secrets out of text.
type redactor struct {
	replacer *strings.Replacer
	longest  int // bytes of the longest secret
}

// newRedactor replaces every secret, and every line of one that has several.
// A value under 4 bytes would blot out ordinary text and is left.
func newRedactor(secrets map[string][]byte) redactor {
	var values []string
	for _, value := range secrets {
		lines := strings.FieldsFunc(string(value), func(r rune) bool { return r == '\n' || r == '\r' })
		for _, s := range append(lines, string(value)) {
			if s = strings.TrimSpace(s); len(s) >= 4 {
				values = append(values, s)
			}
		}
	}
	// The replacer takes the first that fits, and a secret may begin with
	// another.
	slices.SortFunc(values, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	r := redactor{}
	var pairs []string
	for _, s := range slices.Compact(values) {
		r.longest = max(r.longest, len(s))
		pairs = append(pairs, s, "***")
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

func (r redactor) clean(s string) string { return r.replacer.Replace(s) }

// err hides an error's text, not the error.
func (r redactor) err(err error) error {
	if text := err.Error(); r.clean(text) != text {
		return &redactedError{text: r.clean(text), err: err}
	}
	return err
}

type redactedError struct {
	text string
	err  error
}

func (e *redactedError) Error() string { return e.text }

func (e *redactedError) Unwrap() error { return e.err }

// run takes the statuses until the solve has ended.
func (w *watch) run(ch <-chan *client.SolveStatus) {
	for s := range ch {
		w.note(s)
		if w.req.Progress != nil {
			w.req.Progress.Update(w.req.Name, s)
		}
	}
	if w.req.Progress != nil {
		if s := w.rest(); len(s.Logs) > 0 {
			w.req.Progress.Update(w.req.Name, s)
		}
	}
}

func (w *watch) note(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		if v.Error != "" && len(w.failures) == 0 && !strings.Contains(v.Error, context.Canceled.Error()) {
			w.failures <- v.Name
		}
		v.Name, v.Error = steps.Short(w.redact.clean(v.Name)), w.redact.clean(v.Error)
		st := w.step(v.Digest)
		st.name = v.Name
		st.cached = st.cached || v.Cached
		if v.Error != "" {
			st.problem = v.Error
		}
		if v.Error != "" {
			if warning, ok := cacheWarning(v.Name, v.Error, w.req.CacheFrom); ok {
				w.warn(warning)
			}
		}
	}
	for _, st := range s.Statuses {
		if strings.HasPrefix(st.ID, protocol.PushingStatus) {
			w.pushed[st.ID] = st.Current
		}
	}
	var logs []*client.VertexLog
	for _, l := range s.Logs {
		if l.Data = w.whole(w.step(l.Vertex), l.Data); len(l.Data) > 0 {
			logs = append(logs, l)
		}
	}
	s.Logs = logs
	for _, warn := range s.Warnings {
		text := w.redact.clean(string(warn.Short))
		warn.Short = []byte(text)
		for i, d := range warn.Detail {
			warn.Detail[i] = []byte(w.redact.clean(string(d)))
		}
		if warn.URL == "" {
			w.warn(Warning{Text: text})
		} else if !slices.Contains(w.lints, text) { // a rule of the frontend's linter, with its page
			w.lints = append(w.lints, text)
		}
	}
}

// pushedBytes is how much of the image's layers was sent to registries.
func (w *watch) pushedBytes() (sum int64) {
	for _, n := range w.pushed {
		sum += n
	}
	return sum
}

// unwritten says which build cache could not be written; "" where all were.
func (w *watch) unwritten() string {
	i := slices.IndexFunc(w.warnings, func(w Warning) bool { return w.Kind == CacheUnwritten })
	if i < 0 {
		return ""
	}
	return w.warnings[i].Text
}

// warn keeps a warning, once.
func (w *watch) warn(warning Warning) {
	if warning.Text != "" && !slices.Contains(w.warnings, warning) {
		w.warnings = append(w.warnings, warning)
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

// After what went wrong npm prints all flags of its command, which would be all that is kept.
var (
	usageBegins = lazyregexp.New(`^npm (?:error|ERR!) Usage:$`)
	usageEnds   = lazyregexp.New(`^npm (?:error|ERR!) Run "npm help `)
)

// whole returns the lines that data completes, redacted. The rest waits for its
// end, so that a secret cut in two is still found.
func (w *watch) whole(st *step, data []byte) []byte {
	text := st.partial + string(data)
	if st.back { // and this may be the second half of the line's end
		text = strings.TrimPrefix(text, "\n")
	}
	end := strings.LastIndexAny(text, "\n\r") + 1
	st.back = end > 0 && end == len(text) && text[end-1] == '\r'
	if end == 0 && len(text) > partialLimit {
		text = w.redact.clean(text)
		end = len(text) - min(len(text), w.redact.longest)
		for end > 0 && end < len(text) && !utf8.RuneStart(text[end]) {
			end--
		}
	}
	st.partial = text[end:]
	text = w.redact.clean(text[:end])
	lines := plain.Log(text)
	if w.redact.longest > 0 {
		// A secret of which a part is coloured is one when the colour is gone.
		shown := strings.Join(append(lines, ""), "\n")
		if hidden := w.redact.clean(shown); hidden != shown {
			text, lines = hidden, plain.Log(hidden)
		}
	}
	for _, line := range lines {
		if usageBegins.MatchString(line) {
			st.usage = true
		} else if usageEnds.MatchString(line) {
			st.usage = false
		}
		if strings.TrimSpace(line) != "" && !st.usage {
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
				s.Logs = append(s.Logs, &client.VertexLog{Vertex: d, Stream: 1, Data: data, Timestamp: time.Now()})
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

// explain turns BuildKit's chain of errors into one that says what went wrong.
// made says that every platform's image had been described, so that what fails
// without a step to blame is its delivery.
func (c *Client) explain(err error, w *watch, made bool) error {
	var se *SolveError
	if errors.As(err, &se) {
		return se
	}
	if lost(err) {
		why := "it went away in the middle of the solve"
		if said := c.program.Said(); said != "" {
			why += "; " + said
		}
		return &UnreachableError{Address: c.address, Err: errors.New(why)}
	}
	why := w.redact.clean(problem(err))
	st := w.failing(err)
	if noExporter.MatchString(why) || st == nil && made {
		e := exportError(why, w.redact.err(err))
		e.Strict, e.PlainHTTP = c.caches == nil, w.req.Output.PlainHTTP
		if e.Reference == "" && slices.ContainsFunc(w.req.CacheTo, func(c buildcache.Cache) bool { return c.Attrs["ignore-error"] == "false" }) {
			e.Cache = w.unwritten()
		}
		return e
	}
	if st != nil && st.problem != "" && strings.Contains(why, releasedTwice) {
		why = problem(errors.New(st.problem))
	}
	out := &SolveError{Problem: why, Err: w.redact.err(err), Denied: denied(why), Unreached: unreached(why)}
	if st != nil {
		w.whole(st, []byte("\n"))
		out.Step, out.Log = st.name, st.lines
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

// releasedTwice is what BuildKit v0.34 says in place of a failed step's own error if several of its mounts are of one
// stage or context. What the step said is in its status.
const releasedTwice = "releasing already released reference"

// failing returns the step that is to blame for err, or nil. An old builder
// does not say which one it is; the one whose status has the error then is. Those
// that were under way beside it have an error too, that they were stopped.
func (w *watch) failing(err error) *step {
	var ve *errdefs.VertexError
	if errors.As(err, &ve) {
		if st := w.steps[digest.Digest(ve.Digest)]; st != nil {
			return st
		}
		return &step{}
	}
	var other *step
	said := w.redact.clean(err.Error())
	for _, st := range w.steps {
		switch {
		case st.problem == "" || !strings.HasPrefix(st.name, "["):
		case strings.Contains(said, st.problem):
			return st
		case !strings.Contains(st.problem, context.Canceled.Error()):
			other = st
		}
	}
	return other
}

// lost reports whether the connection broke, rather than a step, whose own words
// may be the same.
func lost(err error) bool {
	var ve *errdefs.VertexError
	if errors.As(err, &ve) {
		return false
	}
	s := err.Error()
	if strings.Contains(s, "failed to push ") || strings.Contains(s, "failed to do request: ") {
		return false // which is the builder's connection to a registry
	}
	return strings.Contains(s, "code = Unavailable") || strings.Contains(s, "error reading from server") ||
		strings.Contains(s, "transport is closing") || strings.Contains(s, "use of closed network connection")
}

var wrappers = lazyregexp.New(`^(failed to solve|failed to run Build function|rpc error: code = \w+ desc|ResourceExhausted|failed to compute cache key|failed to calculate checksum of ref \S+|failed to load cache key|failed to read dockerfile|dockerfile parse error on line \d+|process "[^"]*")(: | = )`)

// killed is in the place of an exit code that no process has: see [SolveError.Killed].
const killed = "its container was killed"

// signaled is how Go says in 32 bits that a process has no exit code, since a signal ended it.
const signaled = "exit code: 4294967295"

// problem is the innermost part of BuildKit's message that a person can use.
func problem(err error) string {
	s := err.Error()
	// process "/bin/sh -c …" did not complete successfully: exit code: 1
	for !strings.HasPrefix(s, "process ") {
		t := wrappers.ReplaceAllString(s, "")
		if t == s {
			break
		}
		s = t
	}
	s, _, _ = strings.Cut(s, "\n")
	if before, ended := strings.CutSuffix(s, signaled); ended {
		s = before + killed
	}
	s = unresolved.ReplaceAllString(s, "pulling $1: ")
	if m := longProcess.FindStringSubmatch(s); m != nil { // the step's name has all of it
		s = m[1] + "…" + m[2]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

var (
	// A command of more than 80 characters, which may have quotes in it.
	longProcess = lazyregexp.New(`^(process "/bin/sh -c .{40}).{40,}(" did not complete successfully: .*)$`)
	// BuildKit names an image that it cannot find up to three times.
	unresolved = lazyregexp.New(`^(?:\S+: )?failed to resolve source metadata for (\S+): (?:\S+:\S+: )?`)
	refused    = lazyregexp.New(`^pulling ([^/\s]+)/\S+: .*(\b401 |\b403 |authorization failed|failed to authorize)`)
	noAnswer   = lazyregexp.New(`^pulling ([^/\s]+)/\S+: .*(failed to do request: |: 5\d\d [A-Z]|\b429 )`)
)

// denied is the host of the registry that refused a base image, or "".
func denied(problem string) string {
	if m := refused.FindStringSubmatch(problem); m != nil {
		return m[1]
	}
	return ""
}

// unreached is the host of the registry that gives no base image since it does not answer,
// or fails, or "".
func unreached(problem string) string {
	if m := noAnswer.FindStringSubmatch(problem); m != nil {
		return m[1]
	}
	return ""
}
