package conformance

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/templates"
)

// TestTable checks that the table can be told and is about templates that are there.
func TestTable(t *testing.T) {
	t.Parallel()
	all, err := templates.Official()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, tpl := range all {
		names[tpl.Name] = true
	}
	seen := map[string]bool{}
	for _, c := range Cases() {
		if c.Name == "" || seen[c.Name] || c.Bad == (c.Right == "") {
			t.Errorf("%q: a name, once, and the right answer to bad input in words", c.Name)
		}
		seen[c.Name] = true
		for name, e := range c.Except {
			if e.Reason == "" || c.Bad && e.Words == "" {
				t.Errorf("%s, %s: the exception has no reason", c.Name, name)
			}
		}
	}
	for _, l := range Lives() {
		if l.Name == "" || l.Right == "" || l.Within == 0 || seen[l.Name] {
			t.Errorf("%+v says too little", l)
		}
		seen[l.Name] = true
		for name, reason := range l.Except {
			if reason == "" {
				t.Errorf("%s, %s: the exception has no reason", l.Name, name)
			}
		}
	}
	for name, reason := range Without() {
		if !names[name] || reason == "" {
			t.Errorf("%s has no handler: is it a template, and why?", name)
		}
	}
	folders, err := os.ReadDir("handlers")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		// A folder of Go that is no module would be compiled as part of fnb.
		if files, _ := filepath.Glob(filepath.Join("handlers", f.Name(), "*.go")); len(files) > 0 {
			if _, err := os.Stat(filepath.Join("handlers", f.Name(), "go.mod")); err != nil {
				t.Error(err)
			}
		}
	}
}

var update = flag.Bool("update", false, "write the tables into the document")

// TestHandlersDocument compares the tables of docs/handlers.md with the cases. They are written
// with: make docs, or go test ./templates/conformance -update
func TestHandlersDocument(t *testing.T) {
	t.Parallel()
	const file, begins, ends = "../../docs/handlers.md", "<!-- conformance -->\n", "<!-- end -->"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), begins)
	old, after, foundEnd := strings.Cut(rest, ends)
	if !found || !foundEnd {
		t.Fatalf("%s has no place for the tables", file)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begins+Markdown()+ends+after), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if old != Markdown() {
		t.Errorf("%s is not as the cases are: go test ./templates/conformance -update", file)
	}
}
