package templates

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"fnb/internal/growth"
)

// lines is n lines of a format, whose # is their number.
func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i)))
	}
	return b.String()
}

// backwards has the lines of a text from the last to the first.
func backwards(text string) string {
	all := slices.Collect(strings.Lines(text))
	slices.Reverse(all)
	return strings.Join(all, "")
}

// mixed has the lines of a text in another order: each seventh of them first.
func mixed(text string) string {
	all := slices.Collect(strings.Lines(text))
	var b strings.Builder
	for from := range 7 {
		for i := from; i < len(all); i += 7 {
			b.WriteString(all[i])
		}
	}
	return b.String()
}

// TestGrowth reads and merges what attackers would write: the time and the memory grow
// with the length of a Dockerfile and of a starter.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	for _, c := range []struct {
		what, before, line string
		size               int
	}{
		{"RUN", "FROM golang:1 AS b\n", "RUN a /b/c\n", maxInstructions - 10},
		{"stages", "", "FROM golang:1 AS s#\nRUN go build\n", maxStages - 10},
		{"stages from one another", "FROM golang:1 AS s\n", "FROM s AS t#\nRUN go build\n", maxStages - 10},
		{"stages in a row", "FROM golang:1 AS s\n", "FROM s AS s\nRUN go build\n", maxStages - 10},
		{"copies from stages", "FROM golang:1 AS s\nRUN go build\n", "COPY --from=s /a /b\n", maxInstructions - 10},
		{"copies from numbers", "FROM golang:1 AS s\nRUN go build\n", "COPY --from=# /a /b\n", maxInstructions - 10},
		{"ARG", "FROM golang:1 AS s\n", "ARG a#=$a\n", maxInstructions - 10},
		{"ARG before FROM", "", "ARG a#=b\n", maxInstructions - 10},
		{"ENV", "FROM golang:1 AS s\n", "ENV a#=$a\nRUN $a\n", maxInstructions/2 - 10},
		{"ENV of all before", "FROM golang:1 AS s\n", "ENV a=$a$a\n", maxInstructions - 10},
		{"one ENV", "FROM golang:1 AS s\nENV", " a#=b", maxInstructions - 10},
		{"sources", "FROM golang:1 AS s\nCOPY", " $a", 20_000},
		{"mounts", "FROM golang:1 AS s\nRUN", " --mount=from=a,target=/a#", maxInstructions - 10},
		{"WORKDIR", "FROM golang:1 AS s\n", "WORKDIR a\n", maxInstructions - 10},
		{"comments", "FROM a\n", "# x\n", 200_000},
		{"one long line", "FROM golang:1 AS b\nRUN ", "a \\\n", 20_000},
		{"one long script", "FROM golang:1 AS b\nRUN ", "/a/b ", 200_000},
		{"heredocs", "FROM golang:1 AS b\n", "RUN <<E\n/a/b\nE\n", maxInstructions - 10},
		{"a long heredoc", "FROM golang:1 AS b\nRUN <<E\n", "/a/b\n", 100_000},
		{"many heredocs", "FROM golang:1 AS b\nRUN ", "<<E# ", 2_000},
		{"nested variables", "FROM golang:1 AS b\nENV a=", "${a:-", 20_000},
		{"quotes", "FROM golang:1 AS b\nENV a=", "'\"", 100_000},
		{"JSON", "FROM golang:1 AS b\nRUN [\"a\"", ",\"a\"", 100_000},
	} {
		readers = append(readers, growth.Reader{Name: "a Dockerfile: " + c.what, Size: c.size, Begin: func(size int) func() {
			data := []byte(c.before + lines(size, c.line) + "\nFROM scratch\nCOPY --from=0 /a /a\n")
			return func() {
				if d, err := ReadDockerfile("Dockerfile", data, nil); err == nil {
					d.Summary()
					d.Unpinned()
					d.Accelerate("", []string{"/x/y"})
				}
			}
		}})
	}
	for _, c := range []struct {
		what               string
		base, ours, theirs func(n int) string
	}{
		{"all other", func(n int) string { return lines(n, "a#\n") }, func(n int) string { return lines(n, "b#\n") }, func(n int) string { return lines(n, "c#\n") }},
		{"backwards", func(n int) string { return lines(n, "a#\n") }, func(n int) string { return backwards(lines(n, "a#\n")) }, func(n int) string { return lines(n, "b\na#\n")[:n] }},
		{"mixed", func(n int) string { return lines(n, "a#\n") }, func(n int) string { return mixed(lines(n, "a#\n")) }, func(n int) string { return lines(n, "a#\n") + "b\n" }},
		{"twice", func(n int) string { return lines(n/2, "a#\n") + lines(n/2, "a#\n") }, func(n int) string { return backwards(lines(n/2, "a#\n") + lines(n/2, "a#\n")) }, func(n int) string { return lines(n, "b\n") }},
		{"two lines", func(n int) string { return lines(n/2, "a\nb\n") }, func(n int) string { return lines(n/3, "b\na\na\n") }, func(n int) string { return lines(n/3, "b\nb\na\n") }},
		{"many changes", func(n int) string { return lines(n/2, "a#\nb\n") }, func(n int) string { return lines(n/2, "a#\nc\n") }, func(n int) string { return lines(n/2, "a#\nb\nd\n") }},
	} {
		readers = append(readers, growth.Reader{Name: "a merge: " + c.what, Size: maxMergeLines - 10, Begin: func(size int) func() {
			base, ours, theirs := []byte(c.base(size)), []byte(c.ours(size)), []byte(c.theirs(size))
			return func() { mergeText(base, ours, theirs, Sides{}) }
		}})
	}
	growth.Check(t, readers...)
}

// FuzzMerge holds that each line of the user's that was not the template's is in the
// result, and that nothing changes what the template has not.
func FuzzMerge(f *testing.F) {
	f.Add([]byte("a\nb\nc\n"), []byte("a\nmine\nc\n"), []byte("a\ntheirs\nc\n"))
	f.Add([]byte("0"), []byte("\r"), []byte("0"))
	f.Add([]byte("a\r\nb"), []byte("a\r\n\rb\r"), []byte("c\nb\n"))
	f.Add([]byte("a\na\nb\n"), []byte("b\na\na\n"), []byte("a\nb\na\n"))
	f.Fuzz(func(t *testing.T, base, ours, theirs []byte) {
		if !isText(base) || !isText(ours) || !isText(theirs) {
			return
		}
		got, conflicts := mergeText(base, ours, theirs, Sides{"base", "ours", "theirs"})
		count := func(data []byte) map[string]int {
			n := map[string]int{}
			for _, l := range splitText(data).lines {
				n[strings.TrimRight(l, "\r")]++ // before a newline they are the end of the line
			}
			return n
		}
		was, mine, has := count(base), count(ours), count(got)
		for line, n := range mine {
			if was[line] == 0 && has[line] < n {
				t.Errorf("%q with %q and %q lost %q: %q", base, ours, theirs, line, got)
			}
		}
		if got, n := mergeText(base, ours, base, Sides{}); n > 0 || !bytes.Equal(got, ours) {
			t.Errorf("nothing new made %q of %q with the base %q", got, ours, base)
		}
		if got, n := mergeText(base, ours, ours, Sides{}); n > 0 || splitText(got).closed != splitText(ours).closed || !slices.Equal(splitText(got).lines, splitText(ours).lines) {
			t.Errorf("the same on both sides made %q of %q with the base %q", got, ours, base)
		}
		if conflicts > 0 && !hasMarks(got) {
			t.Errorf("%d conflicts in %q", conflicts, got)
		}
	})
}

// FuzzAccelerate holds that an accelerated Dockerfile has the same steps: all that is
// new are mounts of caches.
func FuzzAccelerate(f *testing.F) {
	for _, text := range []string{
		"FROM golang:1 AS b\nRUN go build\nFROM scratch\nCOPY --from=b /a /a\n",
		"FROM --platform=$BUILDPLATFORM golang:1 AS b\nRUN <<E\nRUN go build\nE\nFROM scratch\nCOPY --from=b /a /a\n",
		"# escape=`\nFROM node:1 AS b\r\nrun `\n npm i\nFROM b AS c\nRUN [\"a\"]\nFROM scratch\nCOPY --from=c /a /a\n",
		"FROM python:1 AS b\nRUN --network=none a\nONBUILD RUN b\nFROM scratch\nCOPY --from=0 /a /a\n",
	} {
		f.Add(text, "/x/y")
	}
	f.Fuzz(func(t *testing.T, text, cache string) {
		d, err := ReadDockerfile("Dockerfile", []byte(text), nil)
		if err != nil {
			return
		}
		faster, cached := d.Accelerate("", []string{cache})
		if len(cached) == 0 && !bytes.Equal(faster.Data, d.Data) {
			t.Errorf("%q became %q without caches", text, faster.Data)
		}
		if len(faster.stages) != len(d.stages) || !slices.Equal(faster.Unpinned(), d.Unpinned()) {
			t.Fatalf("%q became %q", text, faster.Data)
		}
		for i, was := range d.stages {
			now := faster.stages[i]
			if len(was.Commands) != len(now.Commands) || was.BaseName != now.BaseName || was.Name != now.Name || was.Platform != now.Platform {
				t.Fatalf("stage %d of %q became %q", i, text, faster.Data)
			}
			for n, c := range was.Commands {
				checkStep(t, c, now.Commands[n])
			}
		}
	})
}

// checkStep fails unless a step does what it did; a RUN may have more mounts.
func checkStep(t *testing.T, was, now instructions.Command) {
	t.Helper()
	run, ok := was.(*instructions.RunCommand)
	if !ok {
		if fmt.Sprint(was) != fmt.Sprint(now) {
			t.Errorf("%v became %v", was, now)
		}
		return
	}
	faster, ok := now.(*instructions.RunCommand)
	if !ok || !slices.Equal(run.CmdLine, faster.CmdLine) || run.PrependShell != faster.PrependShell || !slices.Equal(run.Files, faster.Files) {
		t.Errorf("%v became %v", was, now)
		return
	}
	flags := func(r *instructions.RunCommand) []string {
		return slices.DeleteFunc(slices.Clone(r.FlagsUsed), func(s string) bool { return s == "mount" })
	}
	if !slices.Equal(flags(run), flags(faster)) {
		t.Errorf("%v became %v", was, now)
	}
	before, after := instructions.GetMounts(run), instructions.GetMounts(faster)
	for _, m := range after[:len(after)-len(before)] {
		if m.Type != instructions.MountTypeCache || m.From != "" || m.Source != "" {
			t.Errorf("%v became %v", was, now)
		}
	}
}

// TestDockerfileIsBounded has Dockerfiles that would take the builder's parser hours, or
// all the memory there is.
func TestDockerfileIsBounded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"FROM a\nENV a=0123456789\n" + lines(60, "ENV a=$a$a\n"):                   "a variable in this stage that becomes larger than 1048576 bytes",
		"ARG a=0123456789\n" + lines(60, "ARG a=$a$a\n") + "FROM $a\n":             "larger than 1048576 bytes",
		"FROM a\nENV a=0123456789\n" + lines(30, "ENV a=${a}${a}\nCOPY $a$a /x\n"): "larger than 1048576 bytes",
		"FROM a\n" + lines(maxInstructions, "RUN a\n"):                             "has 2001 instructions, more than 2000",
		lines(maxStages+1, "FROM a\n"):                                             "has 201 stages, more than 200",
		"FROM a\n" + strings.Repeat("#\n", maxDockerfile/2):                        "is larger than 1048576 bytes",
	} {
		if _, err := ReadDockerfile("Dockerfile", []byte(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v", text, err)
		}
	}
	for _, text := range []string{"FROM a\n" + lines(maxInstructions-1, "RUN a\n"), lines(maxStages, "FROM a\n")} {
		if _, err := ReadDockerfile("Dockerfile", []byte(text), nil); err != nil {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

// A template of a folder that nobody could read in time is refused before it is read.
func TestTemplateIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, size := range map[string]int64{"template.yml": 0, "Dockerfile": 0, "sparse": 40 << 30} {
		f, err := os.Create(filepath.Join(dir, name))
		if err == nil {
			err = errors.Join(f.Truncate(size), f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), "together, with sparse") || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}
