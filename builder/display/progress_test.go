package display_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/display"
	"fnb/internal/fixture"
)

// together solves two functions that share their first steps.
func together(t *testing.T, p *display.Progress, extra string) {
	t.Helper()
	c, base := buildertest.Stock(t), buildertest.SmallBase(t)
	var wg sync.WaitGroup
	for _, name := range []string{"one", "two"} {
		wg.Go(func() {
			_, err := c.Solve(t.Context(), builder.Request{
				Name: name, Progress: p,
				Context: fixture.Files("Dockerfile", base+"RUN echo shared "+extra+"\nCOPY own /own\nRUN echo said $(cat /own)\n", "own", name+extra),
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p.Close()
	p.Close()
	p.Late(&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "sha256:1", Name: "late"}}})
}

func TestProgressPlain(t *testing.T) {
	t.Parallel()
	out := &fixture.Buffer{}
	p, err := display.New(out, "auto", true)
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

func TestProgressTTY(t *testing.T) {
	t.Parallel()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	if err := pty.Setsize(slave, &pty.Winsize{Rows: 50, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	if !display.IsTerminal(slave) {
		t.Error("a terminal is none")
	}
	out, read := &fixture.Buffer{}, make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(out, master) // it ends with the terminal
	}()
	p, err := display.New(slave, "auto", true)
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
	p, err := display.New(&quiet, "quiet", true)
	if err != nil {
		t.Fatal(err)
	}
	together(t, p, "quietly")
	if quiet.Len() > 0 {
		t.Errorf("quiet says %q", quiet.String())
	}
	for _, mode := range []string{"tty", "loud", "rawjson"} {
		if _, err := display.New(io.Discard, mode, false); err == nil {
			t.Errorf("mode %s was taken for what is no terminal", mode)
		}
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if display.IsTerminal(f) {
		t.Error("/dev/null is a terminal")
	}
}

// Solves and displays that have ended leave no goroutine. It is not parallel:
// it counts them.
func TestNoLeak(t *testing.T) { //nolint:paralleltest // as above
	c := buildertest.Stock(t)
	once := func() {
		p, err := display.New(io.Discard, "plain", false)
		if err != nil {
			t.Fatal(err)
		}
		buildertest.Solve(t, c, builder.Request{Name: "f", Progress: p, Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), Output: builder.Output{Store: t.TempDir()}})
		p.Close()
	}
	once()
	before := runtime.NumGoroutine()
	for range 10 {
		once()
	}
	fixture.Eventually(t, 10*time.Second, "the goroutines are as many as before", func() bool { return runtime.NumGoroutine() <= before+2 })
}

func TestProgressJSON(t *testing.T) {
	t.Parallel()
	out := &fixture.Buffer{}
	p, err := display.New(out, "json", true)
	if err != nil {
		t.Fatal(err)
	}
	together(t, p, "json")
	steps, said := map[string]map[string]bool{"one": {}, "two": {}}, 0
	for line := range strings.Lines(out.String()) {
		var e display.Event
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

// While a display is paused nothing is written, and who updates it waits; nothing is lost.
func TestProgressPause(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"plain", "json", "quiet"} {
		out := &fixture.Buffer{}
		p, err := display.New(out, mode, false)
		if err != nil {
			t.Fatal(err)
		}
		step := func(id digest.Digest, name string) {
			now := time.Now()
			p.Update("f", &client.SolveStatus{Vertexes: []*client.Vertex{{Digest: id, Name: name, Started: &now, Completed: &now}}})
		}
		step("sha256:1", "the first")
		resume := p.Pause()
		before, went := out.String(), make(chan struct{})
		go func() {
			defer close(went)
			step("sha256:2", "the second")
		}()
		select {
		case <-went:
			t.Errorf("%s: an update of a paused display did not wait", mode)
		case <-time.After(50 * time.Millisecond):
		}
		if out.String() != before {
			t.Errorf("%s: it wrote while it was paused", mode)
		}
		resume()
		<-went
		p.Pause()()
		p.Close()
		p.Pause()()
		if text := out.String(); mode != "quiet" && (!strings.Contains(text, "the first") || !strings.Contains(text, "the second")) {
			t.Errorf("%s: it has only\n%s", mode, text)
		}
	}
}
