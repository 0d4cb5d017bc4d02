package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// fuzzSetups are the ways of running the watchdog that a fuzz test takes: all that need no process for each request.
func fuzzSetups(b *bench) []*setup {
	var all []*setup
	for _, s := range b.setups() {
		if !s.forks() && (!s.token || s.rewrite == nil) {
			all = append(all, s)
		}
	}
	return all
}

// rigs start what a fuzz test compares when it is first needed, and keep it.
type rigs struct {
	bench   *bench
	setups  []*setup
	started map[*setup][2]*rig
}

func newRigs(f *testing.F) *rigs {
	f.Helper()
	r := &rigs{bench: &bench{folder: f.TempDir(), witness: "true", auth: &authenticator{}}, started: map[*setup][2]*rig{}}
	r.setups = fuzzSetups(r.bench)
	f.Cleanup(func() {
		for _, pair := range r.started {
			pair[0].end()
			pair[1].end()
		}
	})
	return r
}

// compare sends a stream in one of the set-ups, and fails t unless a rule allows what differs.
func (r *rigs) compare(t *testing.T, s *setup, sent stream) {
	t.Helper()
	pair, ok := r.started[s]
	if !ok {
		pair = [2]*rig{r.bench.newRig(t, s, false), r.bench.newRig(t, s, true)}
		r.started[s] = pair
	}
	d := &difference{setup: s, stream: sent, got: pair[0].run(t, sent), want: pair[1].run(t, sent)}
	if d.text = differences(s, d.got, d.want); d.text != "" && allowed(d) == nil {
		t.Errorf("%s: %.2000q, answered with %.2000q:\n%s", s.name, sent.bytes, sent.script.parts, d.text)
	}
}

// FuzzConnection sends any bytes to the watchdog and to net/http with httputil.ReverseProxy. They answer the same, and
// the function sees the same, but for what the rules allow.
func FuzzConnection(f *testing.F) {
	for i, s := range requestStreams(f) {
		if len(s.bytes) < 64<<10 {
			f.Add([]byte(strings.TrimSuffix(s.bytes, probe)), byte(i))
		}
	}
	all := newRigs(f)
	f.Fuzz(func(t *testing.T, in []byte, which byte) {
		if len(in) > 64<<10 || bytes.Contains(bytes.ToLower(in), []byte("x-timeout")) || bytes.Contains(in, []byte(pause)) {
			return // what a client may ask for is time, too
		}
		all.compare(t, all.setups[int(which)%len(all.setups)], stream{bytes: string(in) + probe})
	})
}

// FuzzAnswer has a function answer anything to the first request, and keep the connection where that is a whole
// answer. The client gets what httputil.ReverseProxy would give it, and the next one gets its own.
func FuzzAnswer(f *testing.F) {
	for i, s := range answerStreams(f) {
		if text := strings.Join(s.script.parts, pause); len(text) < 64<<10 && !s.open {
			f.Add([]byte(text), byte(i))
		}
	}
	requests := []string{
		"GET /p HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD /p HTTP/1.1\r\nHost: h\r\n\r\n", "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
		"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "GET /p HTTP/1.0\r\nHost: h\r\n\r\n",
	}
	all := newRigs(f)
	f.Fuzz(func(t *testing.T, in []byte, which byte) {
		if len(in) > 64<<10 || len(in) == 0 || bytes.HasPrefix(in, []byte("HTTP/1.1 101")) {
			return
		}
		request := requests[int(which)%len(requests)]
		sent := stream{bytes: request + probe}
		sent.script = script{parts: strings.Split(string(in), pause)}
		sent.script.ends = !isWhole(strings.ReplaceAll(string(in), pause, ""), strings.HasPrefix(request, "HEAD"))
		all.compare(t, all.setups[0], sent)
	})
}

// isWhole reports whether text begins with a whole answer whose end it tells itself.
func isWhole(text string, head bool) bool {
	r := &http.Request{Method: http.MethodGet}
	if head {
		r.Method = http.MethodHead
	}
	for in := bufio.NewReader(strings.NewReader(text)); ; {
		a, err := http.ReadResponse(in, r)
		if err != nil || a.Close {
			return false
		}
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			return false
		}
		if a.StatusCode >= http.StatusOK {
			return true
		}
	}
}
