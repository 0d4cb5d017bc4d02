package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fnb/internal/servers"
	"fnb/pipeline"
	"fnb/schema"
	"fnb/store"
)

// officialRecords are the functions that are part of fnb, as the store has them.
func officialRecords(t *testing.T) []store.Function {
	t.Helper()
	st, err := store.New(store.Options{CacheDir: t.TempDir(), Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := st.Functions(t.Context(), store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	var all []store.Function
	for _, f := range found {
		one, _, err := st.Function(t.Context(), f.Name, store.Scope{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// TestFunctions makes each function that is part of fnb somebody's own, and runs its
// tests, the contract test of its image, and its examples. There is one of them at
// least in each language.
func TestFunctions(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	u := newUser(t, r)
	records := officialRecords(t)
	for _, name := range officialNames(t) {
		has := slices.ContainsFunc(records, func(f store.Function) bool { return f.Record.Language == name })
		if !has && name != "command" && name != "dockerfile" {
			t.Errorf("no function is written in %s", name)
		}
	}
	for _, f := range records {
		u.run("new", "--from-store", f.Record.Name, "--quiet")
	}
	u.serve("sql-query", "db: {image: postgres:17, port: 5432, environment: {POSTGRES_PASSWORD: only-for-the-examples}, timeout: 5m}")
	var results []pipeline.TestResult
	if err := json.Unmarshal([]byte(u.run("test", "--json", "--timeout", "2m", "--progress", "plain")), &results); err != nil {
		t.Fatal(err)
	}
	if len(results) != len(records) {
		t.Errorf("%d functions were tested, and there are %d", len(results), len(records))
	}
	for _, r := range results {
		var passed []string
		for _, c := range r.Checks {
			if c.Status == "passed" {
				passed = append(passed, c.Name)
			}
		}
		if got := strings.Join(passed, ", "); got != "tests, build, health, ready, request, examples, non-root, log line, drain" {
			t.Errorf("%s has passed %s alone", r.Title(), got)
		}
	}
}

// serve gives a function of the stack a service that is called db.
func (u *fnbUser) serve(function, service string) {
	u.t.Helper()
	stack, err := os.ReadFile(filepath.Join(u.dir, "stack.yaml"))
	if err != nil {
		u.t.Fatal(err)
	}
	head := "  " + function + ":\n"
	text := strings.Replace(string(stack), head, head+"    run: {services: [db]}\n", 1)
	u.write("stack.yaml", text+"services:\n  "+service+"\n")
}

// TestReferenceOfFunctions compares the table of docs/store.md with the functions that
// are part of fnb, which say what people look for first. With -update it writes the table.
func TestReferenceOfFunctions(t *testing.T) {
	t.Parallel()
	table := "| function | written in | what it does |\n|---|---|---|\n"
	for _, f := range officialRecords(t) {
		r := f.Record
		if r.Title == "" || r.Description == "" || r.License == "" || r.README == "" || len(r.Categories) == 0 || len(r.Examples) < 3 {
			t.Errorf("%s lacks a title, a description, a licence, a README, a category or three examples", r.Name)
		}
		if !slices.ContainsFunc(r.Examples, func(e schema.Example) bool { return e.Status >= 400 }) {
			t.Errorf("%s has no example of what it refuses", r.Name)
		}
		table += fmt.Sprintf("| `%s` | %s | %s |\n", r.Name, r.Language, r.Description)
	}
	const file, begins, ends = "../../docs/store.md", "<!-- functions -->\n", "<!-- end -->"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), begins)
	old, after, foundEnd := strings.Cut(rest, ends)
	switch {
	case !found || !foundEnd:
		t.Fatalf("%s has no place for the table", file)
	case *update:
		if err := os.WriteFile(file, []byte(before+begins+table+ends+after), 0o600); err != nil {
			t.Fatal(err)
		}
	case old != table:
		t.Errorf("%s is not as the functions are: go test ./cmd/fnb -run Reference -update", file)
	}
}
