package main

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fnb/internal/servers"
)

// shownCommands are what docs/demo.svg shows.
func shownCommands() []string {
	return []string{
		"fnb new hello --lang python3 --prefix ghcr.io/acme --quiet",
		"fnb invoke hello -d 'hi there'",
		"fnb build --push",
		"echo '# a change' >> hello/handler.py",
		"fnb build --push --why",
		"fnb build --push --why",
	}
}

// A shownStep is a command of the picture, what it said, and how long it took.
type shownStep struct {
	command string
	lines   []string
	took    time.Duration
}

// TestDemo runs what docs/demo.svg shows, and compares the words. Times and digests are those of the
// run that drew it.
func TestDemo(t *testing.T) {
	t.Parallel()
	const file = "../../docs/demo.svg"
	r, err := shared()
	servers.Require(t, "buildkit", err)
	user := newUser(t, r, "PATH="+r.bin+":"+os.Getenv("PATH"))
	var steps []shownStep
	for _, command := range shownCommands() {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, "ghcr.io", r.registry.Host))
		cmd.Dir, cmd.Env = user.dir, user.env
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		begin := time.Now()
		if err := cmd.Run(); err != nil {
			t.Fatalf("$ %s\n%v\n%s%s", command, err, out.String(), errs.String())
		}
		s := shownStep{command: command, took: time.Since(begin)}
		said := slices.DeleteFunc(strings.Split(errs.String(), "\n"), func(line string) bool {
			return !strings.HasPrefix(line, "fnb: ") || line == "fnb: hello: building" // which is said of a build that takes long
		})
		for _, line := range append(said, strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")...) {
			if line != "" {
				s.lines = append(s.lines, strings.ReplaceAll(line, r.registry.Host, "ghcr.io"))
			}
		}
		steps = append(steps, s)
	}
	picture := drawTerminal(steps)
	if *update {
		if err := os.WriteFile(file, []byte(picture), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if now, then := shownWords(picture), shownWords(string(have)); !slices.Equal(now, then) {
		t.Errorf("docs/demo.svg shows\n%s\nand fnb says\n%s\ndraw it with: go test ./cmd/fnb -run TestDemo -update", strings.Join(then, "\n"), strings.Join(now, "\n"))
	}
}

var (
	shownText   = regexp.MustCompile(`(?s)<text[^>]*>(.*?)</text>`)
	shownDigest = regexp.MustCompile(`sha256:[0-9a-f]+`)
	shownSpan   = regexp.MustCompile(`</?tspan[^>]*>`)
)

// shownWords are the lines of a picture, without what differs between two runs.
func shownWords(picture string) []string {
	var all []string
	for _, m := range shownText.FindAllStringSubmatch(picture, -1) {
		all = append(all, shownDigest.ReplaceAllString(shownSpan.ReplaceAllString(m[1], ""), "sha256:"))
	}
	return all
}

// drawTerminal draws commands as they are typed, and what they say when they have said it; a pause of more
// than two seconds is two. Whoever wants no movement sees all at once.
func drawTerminal(steps []shownStep) string {
	const left, top, line, width = 20, 34, 21, 760
	var b strings.Builder
	y, at := top, 0.5
	text := func(class, inner string) {
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" class=\"%s\" style=\"animation-delay:%.2fs\">%s</text>\n", left, y, class, at, inner)
		y += line
	}
	for _, s := range steps {
		text("command", `<tspan class="prompt">$</tspan> `+html.EscapeString(s.command))
		at += 0.4 + min(s.took.Seconds(), 2)
		for _, l := range s.lines {
			text("said", html.EscapeString(shownDigest.ReplaceAllStringFunc(l, func(d string) string { return d[:min(len(d), 19)] + "…" })))
		}
		at += 1.2
	}
	height := y + 8 - line + 14
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="A terminal: a function is made, called, built and pushed; after a change fnb names the file, and then builds nothing">
<style>
rect { fill: #1b1a18; stroke: #57524a }
text { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #cfc8bd; white-space: pre; animation: show .2s backwards }
.command { fill: #fff; font-weight: 600 }
.prompt { fill: #62d2c1 }
@keyframes show { from { opacity: 0 } }
@media (prefers-reduced-motion: reduce) { text { animation: none } }
</style>
<rect x=".5" y=".5" width="%d" height="%d" rx="12"/>
%s</svg>
`, width, height, width-1, height-1, b.String())
}
