package pages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fence has "”'" in place of "```", which no raw string can have.
func fence(text string) string { return strings.ReplaceAll(text, "'''", "```") }

// TestRead does what a page says.
func TestRead(t *testing.T) {
	t.Parallel()
	page := fence(`# A page

<!-- What the reader has done before:
'''console
$ mkdir below
'''
-->
'''yaml below/file.yaml
a: example.com
'''
'''yaml >>below/file.yaml
b: 2
'''
'''yaml ~/.config/x.yaml
c: 3
'''
<!-- shown only: there is no such host -->
'''sh
exit 1
'''
'''console
$ cat below/file.yaml
a: here
b: 2
$ cat token.txt; echo beside >&2; echo 'hint: this' >&2
se…
hint: this
'''
'''console fails
$ echo one
…
$ false
'''
`)
	blocks, err := Blocks(page)
	if err != nil {
		t.Fatal(err)
	}
	r := &Reader{
		Dir: t.TempDir(), Home: t.TempDir(), Env: os.Environ(), Names: []string{"example.com", "here"},
		Has: map[string]string{"token.txt": "secret\n"},
	}
	defer r.Close()
	for _, b := range blocks {
		if err := r.Do(t.Context(), b); err != nil {
			t.Error(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(r.Home, ".config", "x.yaml")); err != nil || string(got) != "c: 3\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestDocuments holds that each block of the tutorial and the how-to pages is done, or says why not.
func TestDocuments(t *testing.T) {
	t.Parallel()
	all, err := filepath.Glob("../../docs/howto/*.md")
	if err != nil || len(all) < 10 {
		t.Fatalf("%d pages, %v", len(all), err)
	}
	for _, page := range append(all, "../../docs/tutorial.md") {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Blocks(string(data)); err != nil {
			t.Errorf("%s: %v", page, err)
		}
	}
}

// TestReadRefuses holds what a page must not have.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for page, want := range map[string]string{
		"'''yaml\na: 1\n'''":                           "line 1: the block is neither",
		"'''\na: 1\n'''":                               "line 1: the block is neither",
		"text\n<!-- shown only: -->\n'''sh\n'''":       "line 3: the block is neither",
		"<!-- shown only: why -->\n\n'''sh\n'''":       "line 3: the block is neither",
		"'''console\n$ true":                           "line 1: the block does not end",
		"'''console\ntrue\n'''":                        `line 1: "true" follows no command`,
		"'''console\n$ echo a\nb\n'''":                 "prints\na\n",
		"'''console\n$ echo 'fnb: a' >&2\nfnb: b\n'''": "says\nfnb: a\n",
		"'''console\n$ false\n'''":                     "exit status 1",
		"'''console fails\n$ true\n'''":                "it must fail",
		"'''console fails\n$ false\n$ false\n'''":      "exit status 1",
		"'''console\n$ fnb run x\nx http://here\n'''":  "$ exec fnb run x --port 1",
		"'''console\n$ fnb run --gateway -w\nx\n'''":   "$ exec fnb run --gateway=1 -w\n",
		"'''text >>none.txt\na\n'''":                   "none.txt",
	} {
		blocks, err := Blocks(fence(page))
		r := &Reader{Dir: t.TempDir(), Env: []string{"PATH=/usr/bin:/bin"}, Port: "1"}
		for _, b := range blocks {
			if err == nil {
				err = r.Do(t.Context(), b)
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", page, err, want)
		}
	}
}

// TestMatches holds what a page may leave out.
func TestMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		page, printed string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a  b", "a b", true},
		{"a b", "a c", false},
		{"sha256:…", "sha256:12", true},
		{"sha256:…", "sha256:12\nmore", false},
		{"a.c", "abc", false},
		{"…", "", true},
		{"…", "a\nb", true},
		{"a\n…", "a", true},
		{"a\n…", "a\nb\nc", true},
		{"a\n…\nd", "a\nb\nd", true},
		{"a\n…\nd", "a\nb\nc", false},
	} {
		if got := matches(c.page, c.printed); got != c.want {
			t.Errorf("%q for %q: %v", c.printed, c.page, got)
		}
	}
	if said, rest := aside("a\nfnb: b\nhint: c"); len(said) != 2 || rest != "a" {
		t.Errorf("beside the result is %q, and it is %q", said, rest)
	}
}
