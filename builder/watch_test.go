package builder

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	digest "github.com/opencontainers/go-digest"

	"fnb/builder/steps"
	"fnb/internal/plain"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		secrets []string
		chunks  []string
		want    string
	}{
		{"whole", []string{"hunter22"}, []string{"a hunter22 b\n"}, "a *** b\n"},
		{"cut in two", []string{"hunter22"}, []string{"a hun", "ter22 b\n"}, "a *** b\n"},
		{"cut in bytes", []string{"hunter22"}, strings.Split("a hunter22 b\n", ""), "a *** b\n"},
		{"never ended", []string{"hunter22"}, []string{"a hunt", "er22"}, "a ***\n"},
		{"several lines", []string{"-----BEGIN\nabcdef\nx\n-----END\n"}, []string{"-----BEGIN\nabc", "def\nx\n-----END\n"}, "***\n***\nx\n***\n"},
		{"a line of several", []string{"-----BEGIN\nabcdef\n"}, []string{"got abcdef\n"}, "got ***\n"},
		{"with Windows' line ends", []string{"first1\r\nsecond2\r\n"}, []string{"first1 second2\n"}, "*** ***\n"},
		{"a value under four bytes stays", []string{"abc"}, []string{"abc\n"}, "abc\n"},
		{"one that begins with another", []string{"secret", "secret-and-more"}, []string{"secret-and-more secret\n"}, "*** ***\n"},
		{"after a carriage return", []string{"hunter22"}, []string{"10%\rhunter22\r"}, "10%\r***\r"},
		{"in a very long line", []string{"hunter22"}, []string{strings.Repeat("x", partialLimit-3) + "hunter", "22 end\n"}, strings.Repeat("x", partialLimit-3) + "*** end\n"},
		{"after a very long line", []string{"hunter22"}, []string{strings.Repeat("x", partialLimit) + "hunte", "r22 end\n"}, strings.Repeat("x", partialLimit) + "*** end\n"},
		{"none", nil, []string{"a", "b\n"}, "ab\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			secrets := map[string][]byte{}
			for i, s := range tt.secrets {
				secrets[string(rune('a'+i))] = []byte(s)
			}
			w := newWatch(&Request{Inputs: Inputs{Secrets: secrets}})
			d := digest.FromString("step")
			var got strings.Builder
			for _, chunk := range tt.chunks {
				s := &client.SolveStatus{Logs: []*client.VertexLog{{Vertex: d, Data: []byte(chunk)}}}
				w.note(s)
				for _, l := range s.Logs {
					got.Write(l.Data)
				}
			}
			for _, l := range w.rest().Logs {
				got.Write(l.Data)
			}
			if got.String() != tt.want {
				t.Errorf("got %q, want %q", got.String(), tt.want)
			}
			for _, s := range tt.secrets {
				if len(s) > 3 && strings.Contains(strings.Join(w.steps[d].lines, "\n"), s) {
					t.Error("the error's log has the secret")
				}
			}
		})
	}
}

// Names, errors, warnings and BuildKit's own error do not show secrets either.
func TestRedactBesideLogs(t *testing.T) {
	t.Parallel()
	w := newWatch(&Request{Inputs: Inputs{Secrets: map[string][]byte{"a": []byte("hunter22")}}})
	s := &client.SolveStatus{
		Vertexes: []*client.Vertex{{Digest: "sha256:1", Name: "RUN echo hunter22", Error: "hunter22 failed"}},
		Warnings: []*client.VertexWarning{
			{Short: []byte("hunter22 is no argument"), Detail: [][]byte{[]byte("about hunter22")}},
			{Short: []byte("hunter22 is no argument")},
		},
	}
	w.note(s)
	for _, text := range []string{s.Vertexes[0].Name, s.Vertexes[0].Error, string(s.Warnings[0].Short), string(s.Warnings[0].Detail[0]), fmt.Sprint(w.warnings)} {
		if strings.Contains(text, "hunter22") {
			t.Errorf("%q shows the secret", text)
		}
	}
	if len(w.warnings) != 1 {
		t.Errorf("warnings are not told apart: %q", w.warnings)
	}
	inner := errors.New("saying hunter22")
	if err := w.redact.err(inner); strings.Contains(err.Error(), "hunter22") || !errors.Is(err, inner) {
		t.Errorf("got %v", err)
	}
}

// A RUN step is named by its first words; others keep their whole names.
func TestStepName(t *testing.T) {
	t.Parallel()
	from := "[base 1/2] FROM docker.io/library/python:3.13-slim-bookworm@sha256:" + strings.Repeat("0", 64)
	for name, want := range map[string]string{
		"[deps 3/4] RUN npm ci": "[deps 3/4] RUN npm ci",
		"RUN true":              "RUN true",
		"[deps 3/4] RUN --mount=type=cache,target=/root/.npm     --mount=type=secret,id=npmrc npm ci --if-present": "[deps 3/4] RUN npm ci --if-present",
		"[test 2/2] RUN --network=none   sh -c 'a     b'":                                                          "[test 2/2] RUN sh -c 'a b'",
		"[test 2/2] RUN " + strings.Repeat("ü", 61):                                                                "[test 2/2] RUN " + strings.Repeat("ü", 60) + "…",
		from: from, "[internal] load": "[internal] load", "": "",
	} {
		if got := steps.Short(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestLogTail(t *testing.T) {
	t.Parallel()
	w := newWatch(&Request{})
	st := &step{}
	for range 3 * logTail {
		w.whole(st, []byte("line\n\n"))
	}
	w.whole(st, []byte("last\n"))
	if len(st.lines) != logTail || st.lines[logTail-1] != "last" {
		t.Errorf("got %d lines, the last %q", len(st.lines), st.lines[len(st.lines)-1])
	}
}

// What npm says of its flags, which is longer than what is kept, is not in place of what went wrong.
func TestLogWithoutUsage(t *testing.T) {
	t.Parallel()
	for _, mark := range []string{"npm error", "npm ERR!"} {
		st := &step{}
		said := mark + " Missing: a@1 from lock file\n" + mark + "\n" + mark + " Usage:\n" + strings.Repeat(mark+"   --flag\n", 2*logTail) + mark + " Run \"npm help ci\" for more info\nlast\n"
		if got := string(newWatch(&Request{}).whole(st, []byte(said))); got != said {
			t.Errorf("shown as %q", got)
		}
		if want := []string{mark + " Missing: a@1 from lock file", mark, mark + " Run \"npm help ci\" for more info", "last"}; !slices.Equal(st.lines, want) {
			t.Errorf("kept is %q, want %q", st.lines, want)
		}
	}
}

// A line that is drawn again is a line each time, wherever its output was cut.
func TestLogDrawnAgain(t *testing.T) {
	t.Parallel()
	w := newWatch(&Request{})
	st := &step{}
	var shown string
	for _, piece := range []string{"10%\r50", "%\r", "\nnext\r", "\n\nlast"} {
		shown += string(w.whole(st, []byte(piece)))
	}
	shown += string(w.whole(st, []byte("\n")))
	if want := "10%\r50%\rnext\r\nlast\n"; shown != want {
		t.Errorf("shown as %q, want %q", shown, want)
	}
	if want := []string{"10%", "50%", "next", "last"}; !slices.Equal(st.lines, want) {
		t.Errorf("the end of it is %q", st.lines)
	}
}

// A secret is one when the colour of a part of it is gone, too.
func TestRedactColoured(t *testing.T) {
	t.Parallel()
	w := newWatch(&Request{Inputs: Inputs{Secrets: map[string][]byte{"a": []byte("hunter22")}}})
	st := &step{}
	got := string(w.whole(st, []byte("is \x1b[1mhunt\x1b[0mer22\nand \x1b[1mnone\n")))
	if strings.Contains(strings.Join(plain.Log(got), " "), "hunter22") || strings.Contains(strings.Join(st.lines, " "), "hunter22") {
		t.Errorf("shown as %q, kept as %q", got, st.lines)
	}
}

// TestReleasedTwice: what BuildKit says of its own bookkeeping is replaced by what the failed step said, and by nothing
// else's words.
func TestReleasedTwice(t *testing.T) {
	t.Parallel()
	const said = `process "/bin/sh -c false" did not complete successfully: exit code: 1`
	released := errors.New("failed to solve: " + releasedTwice)
	for name, tt := range map[string]struct {
		err      error
		vertexes []*client.Vertex
		want     string
	}{
		"a step that failed":       {released, []*client.Vertex{{Digest: "sha256:1", Name: "[2/2] RUN false", Error: said}}, said},
		"one that the error names": {errdefs.WrapVertex(released, "sha256:1"), []*client.Vertex{{Digest: "sha256:1", Name: "[2/2] RUN false", Error: said}}, said},
		"beside one that was stopped": {released, []*client.Vertex{
			{Digest: "sha256:1", Name: "[a 2/2] RUN false", Error: said}, {Digest: "sha256:2", Name: "[b 2/2] RUN sleep", Error: "context canceled"},
		}, said},
		"no step":       {released, nil, releasedTwice},
		"another error": {errors.New("failed to solve: " + said), []*client.Vertex{{Digest: "sha256:1", Name: "[2/2] RUN false", Error: said}}, said},
	} {
		w := newWatch(&Request{})
		w.note(&client.SolveStatus{Vertexes: tt.vertexes})
		err := (&Client{}).explain(tt.err, w, false)
		if solve, ok := errors.AsType[*SolveError](err); !ok || solve.Problem != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	tests := []struct{ err, want, denied string }{
		{`failed to solve: failed to compute cache key: failed to calculate checksum of ref a::b: "/x": not found`, `"/x": not found`, ""},
		{`process "/bin/sh -c ` + strings.Repeat("apt-get install -y \"it\" && ", 20) + `true" did not complete successfully: exit code: 1`, `process "/bin/sh -c apt-get install -y "it" && apt-get insta…" did not complete successfully: exit code: 1`, ""},
		{`failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 4294967295`, `process "/bin/sh -c make" did not complete successfully: its container was killed`, ""},
		{`failed to solve: process "/bin/sh -c false" did not complete successfully: exit code: 1`, `process "/bin/sh -c false" did not complete successfully: exit code: 1`, ""},
		{"failed to solve: dockerfile parse error on line 3: unknown instruction: X", "unknown instruction: X", ""},
		{"failed to solve: alpine:9: failed to resolve source metadata for docker.io/library/alpine:9: docker.io/library/alpine:9: not found", "pulling docker.io/library/alpine:9: not found", ""},
		{"failed to solve: r.io/a: failed to resolve source metadata for r.io/a:latest: failed to authorize: failed to fetch anonymous token: 401 Unauthorized", "pulling r.io/a:latest: failed to authorize: failed to fetch anonymous token: 401 Unauthorized", "r.io"},
		{"failed to solve: r.io/a: failed to resolve source metadata for r.io/a:latest: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed", "pulling r.io/a:latest: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed", "r.io"},
		{"rpc error: code = Unknown desc = one\ntwo", "one", ""},
		{"failed to solve: ResourceExhausted: write /var/lib/x: no space left on device", "write /var/lib/x: no space left on device", ""},
		{"bad \xff byte", "bad \uFFFD byte", ""},
	}
	for _, tt := range tests {
		got := problem(errors.New(tt.err))
		if got != tt.want || denied(got) != tt.denied {
			t.Errorf("%q\ngot  %q, denied by %q\nwant %q, denied by %q", tt.err, got, denied(got), tt.want, tt.denied)
		}
	}
}

func TestExportError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		why  string
		want ExportError
	}{
		{
			"failed to push r.io:5000/a/b:1: unexpected status from POST request to https://r.io:5000/v2/a/b/blobs/uploads/: 403 Forbidden",
			ExportError{Reference: "r.io:5000/a/b:1", Host: "r.io:5000", Status: 403, Problem: "unexpected status from POST request to https://r.io:5000/v2/a/b/blobs/uploads/: 403 Forbidden"},
		},
		{
			"failed to push r.io/a:1: denied: requested access to the resource is denied",
			ExportError{Reference: "r.io/a:1", Host: "r.io", Status: 403, Problem: "denied: requested access to the resource is denied"},
		},
		{
			"failed to push r.io/a:1: unauthorized: authentication required",
			ExportError{Reference: "r.io/a:1", Host: "r.io", Status: 401, Problem: "unauthorized: authentication required"},
		},
		{
			"failed to push r.io/a:1: push access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
			ExportError{Reference: "r.io/a:1", Host: "r.io", Status: 403, Problem: "push access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"},
		},
		{`exporter "oci" could not be found`, ExportError{Unsupported: true, Problem: `this builder cannot write images itself (it has no exporter "oci")`}},
		{"write /x: no space left on device", ExportError{Problem: "write /x: no space left on device"}},
	}
	for _, tt := range tests {
		if got := exportError(tt.why, nil); *got != tt.want {
			t.Errorf("%s\ngot  %#v\nwant %#v", tt.why, *got, tt.want)
		}
	}
}
