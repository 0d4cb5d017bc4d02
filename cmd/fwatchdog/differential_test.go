package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateDifferences = flag.Bool("update-differences", false, "write testdata/differential/differences.txt anew")

func buildCommand(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, "./testdata/witness")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	return build
}

// repeated is {text*times} in the corpus.
var repeated = regexp.MustCompile(`\{([^{}]*)\*(\d+)\}`)

// readCorpus reads streams from a file of testdata/differential. A line in brackets begins a section with a name, words
// that concern all its streams, and after the bracket what goes around each, at %s. Every other line is a name, a bar and the bytes, as
// in a Go string; {text*times} repeats.
func readCorpus(tb testing.TB, file string, each func(section, words, around, name, text string)) {
	tb.Helper()
	text, err := os.ReadFile("testdata/differential/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	section, words, around := "", "", "%s"
	names := map[string]bool{}
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if head, rest, ok := strings.Cut(strings.TrimPrefix(line, "["), "] "); ok && line[0] == '[' {
			section, words, _ = strings.Cut(head, ": ")
			around = expand(tb, file, i, rest)
			continue
		}
		name, escaped, ok := strings.Cut(line, " |")
		escaped = strings.TrimPrefix(escaped, " ")
		name = section + "/" + strings.TrimSpace(name)
		if !ok || names[name] {
			tb.Fatalf("%s:%d: no stream, or one whose name is taken: %s", file, i+1, line)
		}
		names[name] = true
		each(section, words, around, name, expand(tb, file, i, escaped))
	}
}

func expand(tb testing.TB, file string, i int, escaped string) string {
	tb.Helper()
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(escaped, `"`, `\"`) + `"`)
	if err != nil {
		tb.Fatalf("%s:%d: %v", file, i+1, err)
	}
	return repeated.ReplaceAllStringFunc(text, func(m string) string {
		parts := repeated.FindStringSubmatch(m)
		n, _ := strconv.Atoi(parts[2])
		return strings.Repeat(parts[1], n)
	})
}

// requestStreams are the corpus of hostile and odd requests.
func requestStreams(tb testing.TB) []stream {
	tb.Helper()
	var all []stream
	readCorpus(tb, "requests.txt", func(_, words, around, name, text string) {
		s := stream{name: name, bytes: strings.Replace(around, "%s", text, 1)}
		s.open = strings.Contains(words, "open")
		if !strings.Contains(words, "cut") && !s.open {
			s.bytes += probe
		}
		all = append(all, s)
	})
	return all
}

// answerStreams are the corpus of hostile and odd answers of functions. Where the file says so the answer comes in
// several writes, {,} between them.
func answerStreams(tb testing.TB) []stream {
	tb.Helper()
	var all []stream
	readCorpus(tb, "answers.txt", func(_, words, around, name, text string) {
		s := stream{name: name, bytes: around}
		s.script = script{parts: strings.Split(text, "{,}"), early: strings.Contains(words, "early"), ends: strings.Contains(words, "ends")}
		s.open = strings.Contains(words, "open")
		if !s.open {
			s.bytes += probe
		}
		all = append(all, s)
	})
	return all
}

// TestDifferential sends hostile and odd requests, and requests to functions that answer so, to the watchdog in every
// mode and to net/http with httputil.ReverseProxy. They differ in what testdata/differential/differences.txt
// lists, for the reasons there, and in nothing else.
func TestDifferential(t *testing.T) {
	ours(t)
	b := newBench(t)
	requests, answers := requestStreams(t), answerStreams(t)
	if n := len(requests) + len(answers); n < 250 {
		t.Errorf("the corpus has %d streams, at least 250 are wanted", n)
	}
	jobs, runs := map[*setup][]stream{}, 0
	for _, s := range b.setups() {
		jobs[s] = requests
		if s.passes() {
			jobs[s] = slices.Concat(requests, answers)
		}
		runs += len(jobs[s])
	}
	t.Logf("%d streams of requests and %d of answers, %d runs", len(requests), len(answers), runs)
	got := newTable(b.compare(t, jobs))
	if *updateDifferences {
		got.write(t)
	}
	for _, name := range sortedKeys(got[unexplained]) {
		t.Errorf("%s: no rule explains %q", name, sortedKeys(got[unexplained][name]))
	}
	for _, r := range slices.Concat(requestRules(), answerRules()) {
		if got[r.reason] == nil {
			t.Errorf("no stream shows this rule: %s", r.reason)
		}
	}
	if diff := cmp.Diff(readTable(t), got.text()); diff != "" {
		t.Errorf("the watchdog differs from net/http in other ways than testdata/differential/differences.txt says (-it +now):\n%s", diff)
	}
}

// difference is what one stream's outcomes in some set-ups differ in.
type difference struct {
	setup     *setup
	stream    stream
	got, want result
	text      string
}

// compare runs all jobs, some at a time.
func (b *bench) compare(t *testing.T, jobs map[*setup][]stream) []difference {
	t.Helper()
	var mu sync.Mutex
	var found []difference
	references := map[string]func() result{}
	reference := func(r *rig, sent stream) result {
		key := r.setup.name
		if r.setup.same != "" {
			key = r.setup.same
		}
		key += " " + sent.name
		mu.Lock()
		once, ok := references[key]
		if !ok {
			once = sync.OnceValue(func() result { return r.run(t, sent) })
			references[key] = once
		}
		mu.Unlock()
		return once()
	}
	var workers sync.WaitGroup
	for s, streams := range jobs {
		work := make(chan stream, len(streams))
		for _, sent := range streams {
			work <- sent
		}
		close(work)
		for range 2 {
			workers.Go(func() {
				dog, other := b.newRig(t, s, false), b.newRig(t, s, true)
				defer dog.end()
				defer other.end()
				for sent := range work {
					d := difference{setup: s, stream: sent, want: reference(other, sent), got: dog.run(t, sent)}
					if d.text = differences(s, d.got, d.want); d.text != "" {
						mu.Lock()
						found = append(found, d)
						mu.Unlock()
					}
				}
			})
		}
	}
	workers.Wait()
	return found
}

// table is what differs by reason, stream and text.
type table map[string]map[string]map[string][]string

const unexplained = "without a reason"

func newTable(found []difference) table {
	all := table{}
	for _, d := range found {
		reason := unexplained
		if r := allowed(&d); r != nil {
			reason = r.reason
		}
		if all[reason] == nil {
			all[reason] = map[string]map[string][]string{}
		}
		if all[reason][d.stream.name] == nil {
			all[reason][d.stream.name] = map[string][]string{}
		}
		all[reason][d.stream.name][d.text] = append(all[reason][d.stream.name][d.text], d.setup.name)
	}
	return all
}

// text is the table as its file has it.
func (all table) text() []string {
	lines := []string{"# In what the watchdog differs from net/http with httputil.ReverseProxy. Written by go test -run TestDifferential -update-differences."}
	for _, reason := range sortedKeys(all) {
		lines = append(lines, "", "["+reason+"]")
		for _, name := range sortedKeys(all[reason]) {
			for _, text := range sortedKeys(all[reason][name]) {
				setups := all[reason][name][text]
				slices.Sort(setups)
				lines = append(lines, fmt.Sprintf("%s | %s | %s", name, strings.Join(setups, " "), text))
			}
		}
	}
	return lines
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

const differencesFile = "testdata/differential/differences.txt"

func (all table) write(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(differencesFile, []byte(strings.Join(all.text(), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readTable(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(differencesFile)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}
