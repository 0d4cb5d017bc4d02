package builder

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"

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

// together solves two functions that share their first steps.
func together(t *testing.T, p *Progress, extra string) {
	t.Helper()
	c, base := stock(t), small(t)
	var wg sync.WaitGroup
	for _, name := range []string{"one", "two"} {
		wg.Go(func() {
			_, err := c.Solve(t.Context(), Request{
				Name: name, Progress: p,
				Context: files("Dockerfile", base+"RUN echo shared "+extra+"\nCOPY own /own\nRUN echo said $(cat /own)\n", "own", name+extra),
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p.Close()
	p.Close()
	p.update("late", &client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "sha256:1", Name: "late"}}})
}

func TestProgressPlain(t *testing.T) {
	t.Parallel()
	out := &syncBuffer{}
	p, err := NewProgress(out, "auto", true)
	if err != nil {
		t.Fatal(err)
	}
	together(t, p, "plainly")
	for _, name := range []string{"one", "two"} {
		// The base is the same step for each test that uses it, so that its
		// number is that of whoever asked first.
		if !regexp.MustCompile(`\[` + name + ` [^\]]*\] FROM `).MatchString(out.String()) {
			t.Errorf("%s has no FROM in\n%s", name, out)
		}
		for _, step := range []string{" 2/4] RUN echo shared plainly", " 3/4] COPY own /own", " 4/4] RUN echo said"} {
			if !strings.Contains(out.String(), "["+name+step) {
				t.Errorf("%s has no %q in\n%s", name, step, out)
			}
		}
		if !strings.Contains(out.String(), "said "+name+"plainly") {
			t.Errorf("%s said nothing", name)
		}
	}
	if strings.Contains(out.String(), "late") {
		t.Error("something is shown after Close")
	}
}

func TestProgressJSON(t *testing.T) {
	t.Parallel()
	out := &syncBuffer{}
	p, err := NewProgress(out, "json", true)
	if err != nil {
		t.Fatal(err)
	}
	together(t, p, "json")
	steps, said := map[string]map[string]bool{"one": {}, "two": {}}, 0
	for line := range strings.Lines(out.String()) {
		var e event
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if steps[e.Function] == nil || (e.Event != "step" && e.Event != "log" && e.Event != "warning") || e.Step == "" {
			t.Fatalf("got %q", line)
		}
		if e.Event == "step" && e.Ended != nil {
			steps[e.Function][e.Name] = true
		}
		if e.Text == "said "+e.Function+"json\n" {
			said++
		}
	}
	for name, done := range steps {
		for _, step := range []string{"[2/4] RUN echo shared json", "[3/4] COPY own /own", "[4/4] RUN echo said $(cat /own)"} {
			if !done[step] {
				t.Errorf("%s has not done %s: %v", name, step, done)
			}
		}
	}
	if said != 2 {
		t.Errorf("%d functions said something", said)
	}
}

// The table of docs/formats.md has the keys of events, all of them and no other.
func TestEventsAreDocumented(t *testing.T) {
	t.Parallel()
	_, text, _ := strings.Cut(read(t, "../docs/formats.md"), "\n## Progress events ")
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

func TestProgressTTY(t *testing.T) {
	t.Parallel()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	if err := pty.Setsize(slave, &pty.Winsize{Rows: 50, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	if !IsTerminal(slave) {
		t.Error("a terminal is none")
	}
	out, read := &syncBuffer{}, make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(out, master) // it ends with the terminal
	}()
	p, err := NewProgress(slave, "auto", true)
	if err != nil {
		t.Fatal(err)
	}
	together(t, p, "terminal")
	_ = slave.Close()
	_ = master.SetReadDeadline(time.Now().Add(time.Second))
	<-read
	_ = master.Close()
	text := regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`).ReplaceAllString(out.String(), "")
	if text == out.String() {
		t.Error("nothing is drawn again")
	}
	for _, want := range []string{"[one 2/4] RUN echo shared terminal", "[two 2/4] RUN echo shared terminal", "[two 4/4] RUN"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestProgressModes(t *testing.T) {
	t.Parallel()
	var quiet bytes.Buffer
	p, err := NewProgress(&quiet, "quiet", true)
	if err != nil {
		t.Fatal(err)
	}
	together(t, p, "quietly")
	if quiet.Len() > 0 {
		t.Errorf("quiet says %q", quiet.String())
	}
	for _, mode := range []string{"tty", "loud", "rawjson"} {
		if _, err := NewProgress(io.Discard, mode, false); err == nil {
			t.Errorf("mode %s was taken for what is no terminal", mode)
		}
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if IsTerminal(f) {
		t.Error("/dev/null is a terminal")
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
		p, err := NewProgress(w, mode, false)
		if mode == "overview" {
			p, err = NewOverview(w, "plain", 2)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.update("f", status())
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

// Solves and displays that have ended leave no goroutine. It is not parallel:
// it counts them.
func TestNoLeak(t *testing.T) { //nolint:paralleltest // as above
	c := stock(t)
	once := func() {
		p, err := NewProgress(io.Discard, "plain", false)
		if err != nil {
			t.Fatal(err)
		}
		solve(t, c, Request{Name: "f", Progress: p, Context: files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), Output: Output{Store: t.TempDir()}})
		p.Close()
	}
	once()
	before := runtime.NumGoroutine()
	for range 10 {
		once()
	}
	eventually(t, 10*time.Second, "the goroutines are as many as before", func() bool { return runtime.NumGoroutine() <= before+2 })
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
