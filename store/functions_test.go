package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
	"fnb/store"
	"fnb/store/cache"
	"fnb/store/publish"
	"fnb/store/records"
)

// functionRecord is the record of a version of a function, with further keys.
func functionRecord(name, version, platforms, more string) string {
	var all []string
	for i, p := range strings.Split(platforms, ",") {
		all = append(all, fmt.Sprintf(`%q: {"digest": "sha256:%s", "size": %d}`, p, strings.Repeat(fmt.Sprint(i+2), 64), 1000*(i+1)))
	}
	return fmt.Sprintf(`-- functions/%s/v/%s.json --
{"v": 1, "kind": "function", "name": %q, "vers": %q,
 "image": {"ref": "registry.example.com/%s:%s", "digest": "sha256:%s", "platforms": {%s}}%s}
`, name, version, name, version, name, version, strings.Repeat("1", 64), strings.Join(all, ", "), more)
}

func TestFunctionsInAStore(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	tree := storeTree() +
		functionRecord("acme/shorten", "1.0.0", "linux/amd64,linux/arm64", `, "title": "Shorten", "categories": ["text"], "readme": "# Shorten"`) +
		functionRecord("acme/shorten", "1.1.0", "linux/amd64", `, "title": "Shorten \u001b[31m", "categories": ["text"]`) +
		functionRecord("acme/shorten", "1.2.0", "linux/amd64", "") +
		"-- functions/acme/shorten/v/1.2.0.yank.json --\n{\"v\": 1, \"reason\": \"cuts too much\"}\n" +
		"-- functions/acme/shorten/package.json --\n{\"v\": 1, \"description\": \"makes it short\", \"tags\": [\"words\"]}\n" +
		functionRecord("acme/thumb", "0.1.0", "linux/arm64", `, "categories": ["image"]`) +
		functionRecord("acme/later", "0.1.0", "linux/riscv", ``)
	commit(t, g, "store", servers.Commit{Files: tree})
	s := withStores(t, store.Options{})
	c, notes, err := s.AddStore(t.Context(), "main", g.RepoURL("store"), nil)
	fixture.Must(t, err)
	if len(c.Namespaces) != 1 || len(notes) != 1 || !strings.Contains(notes[0], "1 file was skipped") {
		t.Errorf("%v %q", c.Namespaces, notes)
	}
	for query, want := range map[*store.Query]string{
		{}:                            "acme/shorten acme/thumb",
		{Category: "text"}:            "acme/shorten",
		{Platform: "arm64"}:           "acme/thumb",
		{Platform: "linux/s390x"}:     "",
		{Words: []string{"words"}}:    "acme/shorten",
		{Words: []string{"shroten"}}:  "acme/shorten",
		{Words: []string{"image"}}:    "acme/thumb",
		{Words: []string{"x", "yyy"}}: "",
	} {
		found, _, err := s.Functions(t.Context(), *query)
		fixture.Must(t, err)
		var names []string
		for _, m := range found {
			if m.Store == "main" {
				names = append(names, m.Name)
			}
			if strings.Contains(m.Title, "\x1b") {
				t.Errorf("title %q", m.Title)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%+v: %s, want %s", *query, got, want)
		}
	}
	arm64, err := schema.ParsePlatforms("linux/arm64")
	fixture.Must(t, err)
	for ref, want := range map[string]string{
		"acme/shorten":       "1.0.0",
		"acme/shorten@1":     "1.0.0",
		"acme/shorten@1.0.0": "1.0.0",
		"main:shorten":       "1.0.0",
		"acme/shorten@sha256:" + strings.Repeat("1", 64): "function acme/shorten@sha256:" + strings.Repeat("1", 64) + ": ", // of the withdrawn one, which is no choice
		"acme/shorten@1.1.0":                             "function acme/shorten: version 1.1.0 is not for linux/arm64",
		"acme/shorten@1.2.0":                             "function acme/shorten: version 1.2.0 ",
		"acme/shorten@2":                                 "function acme/shorten@2: no version is 2",
		"acme/shrten":                                    "function acme/shrten: the store main does not have it",
		"./shorten":                                      "function ./shorten: it is not the name of one in a store",
	} {
		f, _, err := s.Function(t.Context(), ref, store.Scope{Platforms: arm64})
		got := f.Record.Version
		if err != nil {
			got = err.Error()
		}
		if strings.Contains(ref, "sha256") {
			continue // which of two with one digest is not the question here
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
	f, _, err := s.Function(t.Context(), "acme/shorten", store.Scope{})
	fixture.Must(t, err)
	if f.Record.Version != "1.1.0" || len(f.Package.Versions) != 3 || f.Package.Newest().Version != "1.1.0" || f.Package.Store != "main" {
		t.Errorf("%+v", f)
	}
	if diff := cmp.Diff(schema.Package{V: 1, Description: "makes it short", Tags: []string{"words"}}, f.Package.About); diff != "" {
		t.Error(diff)
	}
	_, _, err = s.Function(t.Context(), "acme/shrten", store.Scope{})
	if e, ok := errors.AsType[*store.NotFoundError](err); !ok || !cmp.Equal(e.Near, []string{"acme/shorten"}) {
		t.Errorf("near acme/shrten: %v", err)
	}
	// A template of the same name is another package.
	if _, _, err := s.Package(t.Context(), schema.KindTemplate, "acme/shorten"); !store.IsMissing(err) {
		t.Errorf("as a template: %v", err)
	}
	functionTaken(t, s, g, tree)
}

// functionTaken changes what a store has said of a function.
func functionTaken(t *testing.T, s *store.Finder, g *servers.Git, tree string) {
	t.Helper()
	for _, change := range []struct{ old, new string }{
		{`"title": "Shorten", `, `"title": "Shorter", `},
		{strings.Repeat("1", 64), strings.Repeat("5", 64)},
		{"acme/thumb", "acme/other"},
	} {
		commit(t, g, "store", servers.Commit{Files: strings.ReplaceAll(tree, change.old, change.new)})
		if _, err := s.UpdateStores(t.Context()); !fixture.Is[*cache.RewrittenError](err) {
			t.Errorf("%s: %v", change.new, err)
		}
		if f, _, err := s.Function(t.Context(), "acme/shorten@1.0.0", store.Scope{}); err != nil || f.Record.Title != "Shorten" {
			t.Errorf("the cache has changed: %+v %v", f, err)
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, data := range map[string]string{
		"store.json":                        `{"v": 1}`,
		"functions/acme/wrong/v/1.0.0.json": `{"v": 1, "kind": "template"}`,
	} {
		fixture.Must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		fixture.Must(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644))
	}
	_, body, _ := strings.Cut(functionRecord("acme/a", "1.0.0", "linux/amd64", ""), "--\n")
	fixture.Must(t, os.MkdirAll(filepath.Join(dir, "functions/acme/a/v"), 0o755))
	fixture.Must(t, os.WriteFile(filepath.Join(dir, "functions/acme/a/v/1.0.0.json"), []byte(body), 0o644))
	var names []string
	r, err := records.Open(t.Context(), dir)
	fixture.Must(t, err)
	defer r.Close()
	passed, err := r.Each(t.Context(), func(p records.Package) error {
		names = append(names, p.Kind+" "+p.Name+" "+p.Newest().Version)
		return nil
	})
	fixture.Must(t, err)
	if diff := cmp.Diff([]string{"function acme/a 1.0.0"}, names); diff != "" || len(passed) != 1 {
		t.Error(diff, passed)
	}
	for name, want := range map[string]string{"acme/a": "1.0.0", "acme/wrong": "", "acme/none": "", "../x": ""} {
		p, err := r.Package(schema.KindFunction, name)
		if want == "" && !errors.Is(err, fs.ErrNotExist) || want != "" && (err != nil || p.Newest().Version != want) {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
	if _, err := records.Open(t.Context(), t.TempDir()); !fixture.Is[*records.NoStoreError](err) {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestCheckFunctions(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	base := storeTree() + functionRecord("acme/thumb", "1.0.0", "linux/amd64", "") + "-- namespaces/acme.json --\n{\"v\": 1, \"owners\": [\"ann\"]}\n"
	long := functionRecord("acme/thumb", "2.0.0", "linux/amd64", `, "readme": "`+strings.Repeat("x", 10<<20)+`"`)
	for name, test := range map[string]struct {
		files, author, want string // "" for no problem at all
	}{
		"new":       {base + functionRecord("acme/thumb", "1.1.0", "linux/amd64", ""), "ann", ""},
		"foreign":   {base + functionRecord("acme/thumb", "1.1.0", "linux/amd64", ""), "bob", "error: the namespace acme does not belong to bob"},
		"changed":   {strings.ReplaceAll(base, `"size": 1000`, `"size": 1`), "ann", "functions/acme/thumb/v/1.0.0.json: error: was changed"},
		"removed":   {strings.ReplaceAll(base, "/v/1.0.0", "/v/1.0.1"), "ann", "functions/acme/thumb/v/1.0.0.json: error: was taken back"},
		"misplaced": {base + strings.Replace(functionRecord("acme/thumb", "1.1.0", "linux/amd64", ""), "functions/", "templates/", 1), "ann", `error: kind: is "function"`},
		"unowned":   {base + functionRecord("beta/thumb", "1.1.0", "linux/amd64", ""), "ann", "namespaces/beta.json: error: is missing"},
		"long":      {base + long, "ann", "2.0.0.json: error: the file has more bytes than the limit of 262144"},
		"withdrawn": {base + "-- functions/acme/thumb/v/1.0.0.yank.json --\n{\"v\": 1, \"reason\": \"x\"}\n", "ann", ""},
	} {
		commit(t, g, name, servers.Commit{Files: base, Tag: "base"}, servers.Commit{Files: test.files})
		got := checked(t, publish.CheckRequest{Dir: clone(t, g.RepoURL(name)), Base: "base", Authors: []string{test.author}})
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
