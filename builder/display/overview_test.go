package display

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"fnb/internal/fixture"
)

// TestOverview shows two hundred functions: few lines where nothing happens, one
// for each that was built or failed, one for a slow step.
func TestOverview(t *testing.T) {
	t.Parallel()
	out := &fixture.Buffer{}
	p, err := NewOverview(out, "plain", 200)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	end := start.Add(6 * time.Second)
	for i := range 200 {
		name := fmt.Sprintf("fn%03d", i)
		switch {
		case i < 197:
			p.Result(name, Outcome{Status: "skipped", Reason: "the registry has it"})
		case i == 197:
			step := &client.Vertex{Digest: digest.FromString("step"), Name: "[build 2/3] RUN \x1b[2Jslow", Started: &start, Completed: &end}
			p.Update(name, &client.SolveStatus{Vertexes: []*client.Vertex{step}})
			p.Result(name, Outcome{Status: "pushed", Took: 7 * time.Second})
		default:
			p.Result(name, Outcome{Status: "failed", Error: "exit\ncode: 1"})
		}
	}
	p.Close()
	p.Close()
	p.Result("late", Outcome{Status: "pushed"})
	want := `fn197: [build 2/3] RUN slow took 6.0s
[198/200] fn197: pushed (7.0s)
[199/200] fn198: failed: exit code: 1
[200/200] fn199: failed: exit code: 1
[200/200] 197 skipped, 1 pushed, 2 failed `
	if got := out.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 5 {
		t.Errorf("it shows\n%s\nwant\n%s", got, want)
	}
}

// Redrawn, it never fills a terminal.
func TestOverviewRedrawn(t *testing.T) {
	t.Parallel()
	out := &fixture.Buffer{}
	o := &overview{w: out, width: 40, total: 200, start: time.Now(), counts: map[string]int{}}
	start := time.Now()
	for i := range 50 {
		step := &client.Vertex{Digest: digest.FromString("step"), Name: strings.Repeat("a long step ", 20), Started: &start}
		o.update(fmt.Sprintf("fn%03d", i), &client.SolveStatus{Vertexes: []*client.Vertex{step}})
	}
	o.draw()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != overviewed+2 || lines[len(lines)-1] != "  and 38 more" {
		t.Errorf("it draws %d lines:\n%s", len(lines), out)
	}
	for _, line := range lines {
		if len([]rune(line)) >= o.width {
			t.Errorf("too long: %q", line)
		}
	}
	o.result("fn000", Outcome{Status: "failed", Error: "no"})
	if got := out.String(); !strings.Contains(got, "\x1b[14A\x1b[J[  1/200] fn000: failed: no\n") || len(o.running) != 49 {
		t.Errorf("after a failure it draws %q", got)
	}
}

func TestOverviewModes(t *testing.T) {
	t.Parallel()
	if _, err := NewOverview(&fixture.Buffer{}, "tty", 200); err == nil {
		t.Error("tty without a terminal is no error")
	}
	if _, err := NewOverview(&fixture.Buffer{}, "loud", 200); err == nil {
		t.Error("an unknown mode is no error")
	}
	out := &fixture.Buffer{}
	p, err := NewOverview(out, "json", 200)
	if err != nil {
		t.Fatal(err)
	}
	p.Result("a", Outcome{Status: "skipped", Reason: "r", Digest: "d"})
	p.Close()
	if got := out.String(); got != `{"function":"a","event":"result","status":"skipped","reason":"r","digest":"d"}`+"\n" {
		t.Errorf("the event is %s", got)
	}
}
