package display

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"golang.org/x/term"

	"fnb/internal/plain"
)

const (
	redraw     = 100 * time.Millisecond
	overviewed = 12              // running functions that are shown
	slowStep   = 5 * time.Second // a step that took this long gets a line of its own
)

// An overview shows a run of many functions: where they can be redrawn, counts
// and what is under way; elsewhere a line for each function that has ended and
// for each slow step.
type overview struct {
	w     io.Writer
	width int // of the terminal; 0 where nothing is redrawn
	total int
	start time.Time
	stop  chan struct{}
	ended chan struct{}

	mu      sync.Mutex
	done    int
	counts  map[string]int // ended functions by status
	running []*underway    // in the order they began
	drawn   int            // lines on the terminal that the next drawing replaces
}

// An underway function has begun and not ended.
type underway struct {
	name, step string
	since      time.Time
}

// NewOverview is [New] for a run of many functions, which shows less of
// each of them. Modes quiet and json are those of NewProgress.
func NewOverview(w io.Writer, mode string, functions int) (*Progress, error) {
	switch mode {
	case "auto", "tty", "plain", "":
	default:
		return New(w, mode, true)
	}
	o := &overview{w: w, total: functions, start: time.Now(), counts: map[string]int{}, stop: make(chan struct{}), ended: make(chan struct{})}
	f, ok := w.(*os.File)
	if ok && mode != "plain" && IsTerminal(f) && (mode == "tty" || os.Getenv("NO_COLOR") == "") {
		o.width = 80
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			o.width = width
		}
	}
	if mode == "tty" && o.width == 0 {
		return nil, fmt.Errorf("progress mode %q: the output is not a terminal", mode)
	}
	go o.run()
	return &Progress{prefix: true, done: o.ended, overview: o}, nil
}

// run redraws until the display ends.
func (o *overview) run() {
	defer close(o.ended)
	if o.width == 0 {
		<-o.stop
		o.mu.Lock()
		fmt.Fprintln(o.w, o.summary())
		o.mu.Unlock()
		return
	}
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			o.mu.Lock()
			o.draw()
			o.mu.Unlock()
		case <-o.stop:
			o.mu.Lock()
			o.erase()
			fmt.Fprintln(o.w, o.summary())
			o.mu.Unlock()
			return
		}
	}
}

// update takes in what happened to a function.
func (o *overview) update(name string, s *client.SolveStatus) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.running, func(u *underway) bool { return u.name == name })
	if i < 0 {
		i = len(o.running)
		o.running = append(o.running, &underway{name: name, since: time.Now()})
	}
	for _, v := range s.Vertexes {
		switch {
		case v.Started != nil && v.Completed == nil:
			o.running[i].step = v.Name
		case v.Started != nil && !v.Cached && v.Error == "" && o.width == 0:
			if took := v.Completed.Sub(*v.Started); took >= slowStep {
				fmt.Fprintf(o.w, "%s: %s took %s\n", name, plain.Short(v.Name), seconds(took))
			}
		}
	}
}

// result takes in that a function has ended.
func (o *overview) result(name string, r Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running = slices.DeleteFunc(o.running, func(u *underway) bool { return u.name == name })
	o.done++
	o.counts[r.Status]++
	if r.Error == "" && (o.width > 0 || r.Status == "skipped") {
		return
	}
	o.erase()
	line := fmt.Sprintf("[%*d/%d] %s: %s", len(fmt.Sprint(o.total)), o.done, o.total, name, r.Status)
	switch {
	case r.Error != "":
		line += ": " + plain.Short(r.Error)
	case r.Reason != "":
		line += ": " + plain.Short(r.Reason)
	}
	if r.Took > 0 {
		line += " (" + seconds(r.Took) + ")"
	}
	fmt.Fprintln(o.w, line)
}

func (o *overview) erase() {
	if o.drawn > 0 {
		fmt.Fprintf(o.w, "\x1b[%dA\x1b[J", o.drawn)
		o.drawn = 0
	}
}

func (o *overview) draw() {
	lines := []string{o.summary()}
	for i, u := range o.running {
		if i == overviewed {
			lines = append(lines, fmt.Sprintf("  and %d more", len(o.running)-overviewed))
			break
		}
		lines = append(lines, fmt.Sprintf("  %s %s %s", u.name, seconds(time.Since(u.since)), plain.Short(u.step)))
	}
	o.erase()
	for _, line := range lines {
		if r := []rune(line); len(r) >= o.width {
			line = string(r[:o.width-2]) + "…"
		}
		fmt.Fprintln(o.w, line)
	}
	o.drawn = len(lines)
}

func (o *overview) summary() string {
	text := fmt.Sprintf("[%d/%d]", o.done, o.total)
	for _, status := range []string{"skipped", "cached", "built", "pushed", "failed"} {
		if n := o.counts[status]; n > 0 {
			text += fmt.Sprintf(" %d %s,", n, status)
		}
	}
	return strings.TrimSuffix(text, ",") + " " + seconds(time.Since(o.start))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
