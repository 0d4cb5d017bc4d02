package store_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
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
	"fnb/store/git"
	"fnb/store/records"
)

// A rec says what a version of a store's package is like.
type rec struct {
	name, version string
	url, commit   string
	path, sum     string
	more          string // further keys of the record
	yank          string // why it was withdrawn
}

// storeTree is a txtar archive of a store with some versions.
func storeTree(recs ...rec) string {
	var b strings.Builder
	b.WriteString("-- store.json --\n{\"v\": 1}\n")
	for _, r := range recs {
		dir := "templates/" + r.name + "/v/" + r.version
		if r.path == "" {
			r.path = "template/acme"
		}
		fmt.Fprintf(&b, `-- %s.json --
{"v": 1, "kind": "template", "name": %q, "vers": %q, "cksum": %q,
 "source": {"git": {"url": %q, "commit": %q, "path": %q}}, "parts": {"entrypoint": {}, "handler": {"dir": "function"}},
 "lang": "test", "description": "says %s"%s}
`, dir, r.name, r.version, r.sum, r.url, r.commit, r.path, r.name, r.more)
		if r.yank != "" {
			fmt.Fprintf(&b, "-- %s.yank.json --\n{\"v\": 1, \"reason\": %q}\n", dir, r.yank)
		}
	}
	return b.String()
}

// published are templates in a repository, and their records.
func published(t *testing.T, g *servers.Git, versions ...string) []rec {
	t.Helper()
	var recs []rec
	s := newStore(t, store.Options{})
	for _, v := range versions {
		h := commit(t, g, "templates", servers.Commit{Files: tree("template/acme=" + v)})
		url := g.RepoURL("templates")
		tmpl, _, _, err := s.Resolve(t.Context(), url+"//template/acme#"+h[0], store.Scope{Root: t.TempDir()})
		fixture.Must(t, err)
		recs = append(recs, rec{name: "acme/echo", version: v, url: url, commit: h[0], sum: tmpl.Checksum})
	}
	return recs
}

func withStores(t *testing.T, opts store.Options) *store.Finder {
	t.Helper()
	opts.StoresFile = filepath.Join(t.TempDir(), "stores.json")
	return newStore(t, opts)
}

func TestResolveStore(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "2.0.0-rc.1")
	recs[2].yank = "drops the body"
	recs[3].more = `, "fnb": ">=0.9"`
	recs[4].more = `, "platforms": ["linux/arm64"]`
	tree := storeTree(recs...) + "-- templates/acme/later/v/1.0.0.json --\n{\"v\": 9}\n-- templates/acme/wrong/v/1.0.0.json --\n{\"v\": 1\n"
	commit(t, g, "store", servers.Commit{Files: tree})
	amd64, err := schema.ParsePlatforms("linux/amd64")
	fixture.Must(t, err)
	s := withStores(t, store.Options{Version: "0.3.0"})
	c, notes, err := s.AddStore(t.Context(), "main", g.RepoURL("store"), nil)
	fixture.Must(t, err)
	if diff := cmp.Diff([]string{"acme"}, c.Namespaces); diff != "" {
		t.Error(diff)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "2 files were skipped") || !strings.Contains(notes[0], "newer fnb") {
		t.Errorf("notes %q", notes)
	}
	for ref, want := range map[string]string{
		"acme/echo":                           "1.1.0",
		"acme/echo@1":                         "1.1.0",
		"acme/echo@1.0":                       "1.0.0",
		"acme/echo@1.0.0":                     "1.0.0",
		"acme/echo@v1.0.0":                    "1.0.0",
		"acme/echo@^1.0":                      "1.1.0",
		"acme/echo@>=1, <1.1":                 "1.0.0",
		"acme/echo@^2.0.0-rc":                 "2.0.0-rc.1",
		"acme/echo@2.0.0-rc.1":                "2.0.0-rc.1",
		"acme/echo@" + recs[0].sum:            "1.0.0",
		"main:acme/echo@1":                    "1.1.0",
		"main:echo@1":                         "1.1.0",
		"acme/echo@sha-" + recs[1].commit[:8]: "1.1.0",
		"acme/echo@^2":                        "not found",
		"acme/echo@1.0.1":                     "not found",
		"acme/echo@1.2.0":                     "withdrawn",
		"acme/echo@1.3.0":                     "incompatible",
		"acme/echo@1.4.0":                     "incompatible",
		"acme/eco":                            "not found",
		"other/echo":                          "not found",
		"side:acme/echo":                      "no store",
	} {
		tmpl, pin, notes, err := s.Resolve(t.Context(), ref, store.Scope{Root: t.TempDir(), Platforms: amd64})
		got := pin.Version
		switch {
		case fixture.Is[*records.NoStoreError](err):
			got = "no store"
		case store.IsMissing(err):
			got = "not found"
		case fixture.Is[*store.YankedError](err):
			got = "withdrawn"
		case fixture.Is[*store.IncompatibleError](err):
			got = "incompatible"
		case err != nil:
			got = err.Error()
		case tmpl.Name != "echo" || pin.Store != "main" || pin.Checksum != tmpl.Checksum || tmpl.Manifest.Version != pin.Version:
			t.Errorf("%s: %+v", ref, pin)
		}
		if got != want {
			t.Errorf("%s is %s, want %s", ref, got, want)
		}
		if ref == "acme/echo" && !strings.Contains(strings.Join(notes, "\n"), "skipped 1.4.0 because it is not for linux/amd64\n"+
			"template acme/echo: skipped 1.3.0 because it needs fnb >=0.9, and this is 0.3.0\n"+
			"template acme/echo: skipped 1.2.0 because it was withdrawn: drops the body") {
			t.Errorf("%s: notes %q", ref, notes)
		}
	}
	_, _, _, err = s.Resolve(t.Context(), "acme/eco", store.Scope{Root: t.TempDir()})
	if e, ok := errors.AsType[*store.NotFoundError](err); !ok || !cmp.Equal(e.Near, []string{"acme/echo"}) {
		t.Errorf("near acme/eco: %v", err)
	}
}

func TestStoreLockAndCache(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0")
	commit(t, g, "store", servers.Commit{Files: storeTree(recs...)})
	s := withStores(t, store.Options{})
	_, _, err := s.AddStore(t.Context(), "main", g.RepoURL("store"), nil)
	fixture.Must(t, err)
	_, pin, _, err := s.Resolve(t.Context(), "acme/echo@^1", store.Scope{Root: t.TempDir()})
	fixture.Must(t, err)

	// A newer version is found once the cache is too old, or asked for by number.
	recs = append(recs, published(t, g, "1.2.0")...)
	recs[1].yank = "slow"
	commit(t, g, "store", servers.Commit{Files: storeTree(recs...)})
	version := func(s *store.Finder, ref string, lock *schema.Lock) (string, string) {
		t.Helper()
		_, pin, notes, err := s.Resolve(t.Context(), ref, store.Scope{Root: t.TempDir(), Lock: lock})
		fixture.Must(t, err)
		return pin.Version, strings.Join(notes, "\n")
	}
	if v, _ := version(s, "acme/echo@^1", nil); v != "1.1.0" {
		t.Errorf("a fresh cache gave %s", v)
	}
	if v, _ := version(s, "acme/echo@1.2.0", nil); v != "1.2.0" {
		t.Errorf("a new version was not looked for: %s", v)
	}
	// The lock decides, and says that the version was withdrawn.
	lock := &schema.Lock{Version: 1, Templates: map[string]schema.Pin{"acme/echo@^1": pin}}
	if v, notes := version(s, "acme/echo@^1", lock); v != "1.1.0" || !strings.Contains(notes, "withdrawn: slow") {
		t.Errorf("locked: %s, %q", v, notes)
	}
	// Also with an empty cache of templates, and without a network.
	fixture.Must(t, os.RemoveAll(filepath.Join(s.Opts().CacheDir, "templates")))
	if v, notes := version(s, "acme/echo@^1", lock); v != "1.1.0" || !strings.Contains(notes, "withdrawn: slow") {
		t.Errorf("locked, fetched again: %s, %q", v, notes)
	}
	offline := newStore(t, store.Options{CacheDir: s.Opts().CacheDir, StoresFile: s.Opts().StoresFile, Offline: true})
	if v, _ := version(offline, "acme/echo@^1", lock); v != "1.1.0" {
		t.Errorf("offline: %s", v)
	}
	if _, _, _, err := offline.Resolve(t.Context(), "acme/echo@1.0.0", store.Scope{Root: t.TempDir()}); !fixture.Is[*store.OfflineError](err) {
		t.Errorf("offline, not cached: %v", err)
	}
	// A cache that was tampered with is not believed.
	names, err := filepath.Glob(filepath.Join(s.Opts().CacheDir, "stores", "*", "*", "versions.ndjson"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	data, err := os.ReadFile(names[0])
	fixture.Must(t, err)
	fixture.Must(t, os.WriteFile(names[0], []byte(strings.ReplaceAll(string(data), "1.2.0", "1.9.0")), 0o600))
	if v, _ := version(s, "acme/echo", nil); v != "1.2.0" {
		t.Errorf("a damaged cache gave %s", v)
	}
	// A store that is gone is used as it was, with a note.
	old := newStore(t, store.Options{CacheDir: s.Opts().CacheDir, StoresFile: s.Opts().StoresFile, TTL: 1})
	fixture.Must(t, g.Close())
	if v, notes := version(old, "acme/echo@1.2.0", nil); v != "1.2.0" || !strings.Contains(notes, "used as it was") {
		t.Errorf("an unreachable store: %s, %q", v, notes)
	}
}

func TestStoreIsRefused(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0")
	commit(t, g, "store", servers.Commit{Files: storeTree(recs...)})
	commit(t, g, "plain", servers.Commit{Files: "-- README --\nhi\n"})
	lies := []rec{recs[0], recs[1]}
	lies[0].sum = recs[1].sum
	lies[1].url = "file://" + filepath.Join(g.Dir, "templates.git")
	lies[0].name, lies[1].name = "evil/echo", "evil/echo"
	commit(t, g, "lies", servers.Commit{Files: storeTree(lies...)})
	s := withStores(t, store.Options{TTL: 1})
	for _, url := range []string{g.RepoURL("plain"), g.RepoURL("nothing"), t.TempDir(), "/nowhere", g.RepoURL("store") + "#main"} {
		if _, _, err := s.AddStore(t.Context(), "x", url, nil); err == nil {
			t.Errorf("%s was added", url)
		}
	}
	for _, name := range []string{"official", "", "A", "../x"} {
		if _, _, err := s.AddStore(t.Context(), name, g.RepoURL("store"), nil); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
	for name := range map[string]bool{"store": true, "lies": true} {
		_, _, err := s.AddStore(t.Context(), name, g.RepoURL(name), nil)
		fixture.Must(t, err)
	}
	if _, _, _, err := s.Resolve(t.Context(), "evil/echo@1.0.0", store.Scope{Root: t.TempDir()}); !fixture.Is[*store.MismatchError](err) {
		t.Errorf("a record that does not match: %v", err)
	}
	if _, _, _, err := s.Resolve(t.Context(), "evil/echo@1.1.0", store.Scope{Root: t.TempDir()}); !fixture.Is[*git.RefusedError](err) {
		t.Errorf("a record of a folder: %v", err)
	}
	// A store that takes a version back, or changes it.
	changed := []rec{recs[0], recs[1]}
	changed[0].commit = recs[1].commit
	for _, tree := range []string{storeTree(recs[1]), storeTree(changed...)} {
		commit(t, g, "store", servers.Commit{Files: tree})
		if _, _, _, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()}); !fixture.Is[*cache.RewrittenError](err) {
			t.Errorf("a rewritten store: %v", err)
		}
	}
}

func TestNamespacesBelongToOneStore(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "9.0.0")
	other := recs[1]
	other.name = "rest/echo"
	commit(t, g, "ours", servers.Commit{Files: storeTree(recs[0])})
	commit(t, g, "theirs", servers.Commit{Files: storeTree(recs[1], other)})
	s := withStores(t, store.Options{})
	_, _, err := s.AddStore(t.Context(), "ours", g.RepoURL("ours"), nil)
	fixture.Must(t, err)
	c, notes, err := s.AddStore(t.Context(), "theirs", g.RepoURL("theirs"), nil)
	fixture.Must(t, err)
	if diff := cmp.Diff([]string{"rest"}, c.Namespaces); diff != "" || len(notes) != 1 {
		t.Errorf("%s %q", diff, notes)
	}
	if _, _, _, err := s.Resolve(t.Context(), "acme/echo@9", store.Scope{Root: t.TempDir()}); !store.IsMissing(err) {
		t.Errorf("a namespace of ours was looked up in theirs: %v", err)
	}
	if _, _, err := s.AddStore(t.Context(), "third", g.RepoURL("theirs"), []string{"acme"}); err == nil {
		t.Error("a namespace was taken twice")
	}
	fixture.Must(t, s.RemoveStore(t.Context(), "ours"))
	_, err = s.UpdateStores(t.Context())
	fixture.Must(t, err)
	_, pin, _, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()})
	if err != nil || pin.Store != "theirs" {
		t.Errorf("%+v %v", pin, err)
	}
	if err := s.RemoveStore(t.Context(), "their"); !fixture.Is[*records.NoStoreError](err) {
		t.Error(err)
	}
}

func TestFolderStoreAndSearch(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0")
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		file := filepath.Join(dir, filepath.FromSlash(name))
		fixture.Must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		fixture.Must(t, os.WriteFile(file, []byte(content), 0o644))
	}
	for _, part := range strings.Split(storeTree(recs...), "-- ")[1:] {
		if name, content, ok := strings.Cut(part, " --\n"); ok {
			put(name, content)
		}
	}
	put("templates/acme/echo/package.json", `{"v": 1, "description": "repeats\u001b[31m what it hears", "tags": ["parrot"]}`)
	s := withStores(t, store.Options{})
	_, _, err := s.AddStore(t.Context(), "here", dir, nil)
	fixture.Must(t, err)
	if _, pin, _, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()}); err != nil || pin.Store != "here" {
		t.Errorf("%+v %v", pin, err)
	}
	for words, want := range map[string]string{
		"echo": "acme/echo", "ecko": "acme/echo", "parrot": "acme/echo", "parot": "acme/echo", "repeats hears": "acme/echo",
		"acme": "acme/echo", "go": "go", "golnag": "", "zzzzzz": "", "echo zzzzzz": "",
	} {
		found, _, err := s.Search(t.Context(), strings.Fields(words), store.Scope{Root: t.TempDir()})
		fixture.Must(t, err)
		got := ""
		if len(found) > 0 {
			got = found[0].Name
		}
		if got != want && words != "golnag" {
			t.Errorf("%s finds %q, want %q", words, got, want)
		}
		for _, f := range found {
			if strings.ContainsRune(f.Description, 0x1b) {
				t.Errorf("%q drives a terminal", f.Description)
			}
		}
	}
	if v, err := s.Versions(t.Context(), "acme/echo"); err != nil || len(v) != 1 || v[0].Version != "1.0.0" {
		t.Errorf("%+v %v", v, err)
	}
}

func TestOpenFaaSList(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "templates",
		servers.Commit{Files: tree("template/acme=1.0.0", "template/other=1.0.0"), Tag: "1.0.0"},
		servers.Commit{Files: tree("template/acme=2.0.0", "template/other=2.0.0"), Tag: "2.0.0"})
	list := filepath.Join(t.TempDir(), "templates.json")
	fixture.Must(t, os.WriteFile(list, fmt.Appendf(nil, `[
 {"template": "acme", "platform": "x86_64", "language": "Test", "source": "openfaas", "description": "A", "repo": %q, "recommended": true, "official": "true"},
 {"template": "other", "platform": "x86_64", "language": "Test", "source": "openfaas", "description": "B", "recommended": "false", "repo": "%s#1.0.0", "official": "false"},
 {"template": "bad", "source": "openfaas", "repo": "--upload-pack=x"}, {"template": "../bad", "source": "openfaas"}, 3
]`, g.RepoURL("templates"), g.RepoURL("templates")), 0o644))
	s := withStores(t, store.Options{})
	_, notes, err := s.AddStore(t.Context(), "faas", list, nil)
	fixture.Must(t, err)
	if len(notes) != 1 || !strings.Contains(notes[0], "3 entries were skipped") {
		t.Errorf("notes %q", notes)
	}
	for ref, want := range map[string]string{
		"openfaas/acme": "2.0.0", "openfaas/acme@1.0.0": "1.0.0", "openfaas/acme@^1": "1.0.0", "openfaas/other": "1.0.0",
		"faas:acme": "2.0.0", "openfaas/acme@main": "2.0.0",
	} {
		tmpl, pin, _, err := s.Resolve(t.Context(), ref, store.Scope{Root: t.TempDir()})
		if err != nil || pin.Version != want || len(pin.Commit) != 40 || "openfaas/"+tmpl.Name != strings.Split(strings.Replace(ref, "faas:", "openfaas/", 1), "@")[0] && ref != "faas:acme" {
			t.Errorf("%s: %+v %v, want %s", ref, pin, err, want)
		}
	}
}

func TestOpenFaaSListOverHTTP(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "templates", servers.Commit{Files: tree("template/acme=1.0.0")})
	answers := map[string]string{
		"/good.json":  fmt.Sprintf(`[{"template": "acme", "source": "faas", "repo": %q, "official": "true"}]`, g.RepoURL("templates")),
		"/local.json": fmt.Sprintf(`[{"template": "acme", "source": "here", "repo": "file://%s", "official": "true"}]`, filepath.Join(g.Dir, "templates.git")),
		"/html.json":  "<html>",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch text, ok := answers[r.URL.Path]; {
		case ok:
			_, _ = w.Write([]byte(text)) // the client checks what it gets
		case r.URL.Path == "/file.json":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case r.URL.Path == "/plain.json":
			http.Redirect(w, r, "http://example.com/x.json", http.StatusFound)
		default:
			http.Error(w, "no", http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	s := withStores(t, store.Options{})
	for _, name := range []string{"html", "file", "plain", "missing"} {
		if c, _, err := s.AddStore(t.Context(), name, server.URL+"/"+name+".json", nil); err == nil {
			t.Errorf("%s was added: %+v", name, c)
		}
	}
	for _, name := range []string{"good", "local"} {
		_, _, err := s.AddStore(t.Context(), name, server.URL+"/"+name+".json", nil)
		fixture.Must(t, err)
	}
	if _, pin, _, err := s.Resolve(t.Context(), "faas/acme", store.Scope{Root: t.TempDir()}); err != nil || pin.Version != "1.0.0" {
		t.Errorf("%+v %v", pin, err)
	}
	if _, _, _, err := s.Resolve(t.Context(), "here/acme", store.Scope{Root: t.TempDir()}); !fixture.Is[*git.RefusedError](err) {
		t.Errorf("a folder of this machine: %v", err)
	}
}
