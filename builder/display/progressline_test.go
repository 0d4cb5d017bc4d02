package display

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"

	"fnb/internal/fixture"
	"fnb/internal/plain"
)

func TestLabel(t *testing.T) {
	t.Parallel()
	for step, want := range map[string]string{
		"[build 2/5] RUN x": "[hello build 2/5] RUN x",
		"[2/5] RUN x":       "[hello 2/5] RUN x",
		"[fnb] watchdog":    "[hello fnb] watchdog",
		"exporting":         "[hello] exporting",
		"":                  "[hello] ",
	} {
		if got := label("hello", step); got != want {
			t.Errorf("%q: got %q, want %q", step, got, want)
		}
	}
}

// Nothing that a build says acts on who watches it, whatever it is said with.
func TestProgressHostile(t *testing.T) {
	t.Parallel()
	const bad = "a\x1b[2J\x1b]52;c;Zm5i\ab\r::set-output name=x::y\u009b1m\u202e ##[error]\xff"
	a := digest.FromString("a")
	now := time.Now()
	status := func() *client.SolveStatus {
		return &client.SolveStatus{
			Vertexes: []*client.Vertex{{Digest: a, Name: bad, Error: bad, Started: &now, Completed: &now, ProgressGroup: &pb.ProgressGroup{Id: "g", Name: bad}}},
			Statuses: []*client.VertexStatus{{Vertex: a, ID: bad, Name: bad, Timestamp: now, Started: &now, Completed: &now}},
			Logs:     []*client.VertexLog{{Vertex: a, Data: []byte(bad + "\n"), Timestamp: now}},
			Warnings: []*client.VertexWarning{{Vertex: a, Short: []byte(bad), Detail: [][]byte{[]byte(bad)}, URL: bad}},
		}
	}
	var log, events, overview bytes.Buffer
	for mode, w := range map[string]*bytes.Buffer{"plain": &log, "json": &events, "overview": &overview} {
		p, err := New(w, mode, false)
		if mode == "overview" {
			p, err = NewOverview(w, "plain", 2)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Update("f", status())
		p.Result("f", Outcome{Status: "failed", Error: bad})
		p.Close()
		for line := range strings.Lines(w.String()) {
			line = strings.TrimSuffix(line, "\n")
			if strings.ContainsFunc(line, plain.Acts) || strings.Contains(line, "##[") || strings.HasPrefix(line, "::") || !utf8.ValidString(line) {
				t.Errorf("%s shows %q", mode, line)
			}
		}
		if w.Len() == 0 {
			t.Errorf("%s shows nothing", mode)
		}
	}
	if !strings.Contains(log.String(), "ab\n") || !strings.Contains(log.String(), ": :set-output name=x::y ## [error]") {
		t.Errorf("the log is %q", log.String())
	}
	var e event
	first, _, _ := strings.Cut(events.String(), "\n")
	if err := json.Unmarshal([]byte(first), &e); err != nil || e.Name != strings.ToValidUTF8(bad, "\uFFFD") {
		t.Errorf("the event is %s: %v", first, err)
	}
	g := (&Progress{}).own("f", status()).Vertexes[0].ProgressGroup
	if strings.ContainsFunc(g.Name, plain.Acts) {
		t.Errorf("the group is %q", g.Name)
	}
}

// A step that two functions share is a step of each.
func TestProgressOwnSteps(t *testing.T) {
	t.Parallel()
	p := &Progress{prefix: true}
	a, b := digest.FromString("a"), digest.FromString("b")
	s := &client.SolveStatus{
		Vertexes: []*client.Vertex{{Digest: a, Inputs: []digest.Digest{b}, Name: "[1/2] FROM x"}},
		Statuses: []*client.VertexStatus{{Vertex: a}}, Logs: []*client.VertexLog{{Vertex: a, Data: []byte("x\n")}}, Warnings: []*client.VertexWarning{{Vertex: a}},
	}
	one, two := p.own("one", s), p.own("two", s)
	v := one.Vertexes[0]
	if v.Digest == a || v.Digest == two.Vertexes[0].Digest || v.Inputs[0] == b || v.Name != "[one 1/2] FROM x" || s.Vertexes[0].Name != "[1/2] FROM x" {
		t.Errorf("got %+v", v)
	}
	if one.Statuses[0].Vertex != v.Digest || one.Logs[0].Vertex != v.Digest || one.Warnings[0].Vertex != v.Digest {
		t.Error("what belongs to a step went elsewhere")
	}
}

// What BuildKit's plain display says of a failed step once more is left out; what looks
// like it in a log is not.
func TestWithoutSummary(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	w := &withoutSummary{w: &out}
	for _, part := range []string{"#1 [1/2] RUN x\n#1 0.1 ------\n#1 0.2 mess", "age\n#1 ERROR: exit code: 1\n---", "---\n > [1/2] RUN x:\n0.2 message\n------\n", "#2 DONE\n"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("%d %v", n, err)
		}
	}
	if want := "#1 [1/2] RUN x\n#1 0.1 ------\n#1 0.2 message\n#1 ERROR: exit code: 1\n#2 DONE\n"; out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

// The table of docs/formats.md has the keys of events, all of them and no other.
func TestEventsAreDocumented(t *testing.T) {
	t.Parallel()
	_, text, _ := strings.Cut(fixture.Read(t, "../../docs/formats.md"), "\n## Progress events ")
	text, _, _ = strings.Cut(text, "\n## ")
	var documented, want []string
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.Contains(cells[1], "`") {
			for key := range strings.SplitSeq(cells[1], ",") {
				documented = append(documented, strings.Trim(key, " `"))
			}
		}
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[event]()) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		want = append(want, key)
	}
	slices.Sort(documented)
	slices.Sort(want)
	if !slices.Equal(documented, want) {
		t.Errorf("documented are %q, want %q", documented, want)
	}
}
