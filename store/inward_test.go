package store_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/origin"
	"fnb/registry"
	"fnb/schema"
	"fnb/store"
	"fnb/store/cache"
	"fnb/store/git"
	"fnb/store/publish"
)

// changeState changes what the cache has noted of a store.
func changeState(t *testing.T, s *store.Finder, url string, change func(*cache.IndexState)) {
	t.Helper()
	x, ok := s.Cache().OpenIndex(url)
	if !ok {
		t.Fatalf("the cache has nothing of %s", url)
	}
	change(&x.State)
	fixture.Must(t, s.Cache().SaveState(x.State))
}

// TestRecordLeadsInward has a store that is elsewhere name hosts of this machine.
func TestRecordLeadsInward(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0")
	commit(t, g, "store", servers.Commit{Files: storeTree(recs...)})
	list := filepath.Join(t.TempDir(), "templates.json")
	fixture.Must(t, os.WriteFile(list, []byte(`[{"template": "acme", "source": "open", "repo": "`+recs[0].url+`"}]`), 0o600))
	served := serveFiles(t, filepath.Dir(list))
	allowed := ""
	s := withStores(t, store.Options{Getenv: func(name string) string {
		if name == origin.PrivateHosts {
			return allowed
		}
		return ""
	}})
	for name, url := range map[string]string{"main": g.RepoURL("store"), "list": served.URL + "/templates.json"} {
		_, _, err := s.AddStore(t.Context(), name, url, nil)
		fixture.Must(t, err)
	}
	for _, test := range []struct {
		store   origin.Reach
		allowed string
		ok      bool
	}{
		{origin.Public, "", false},
		{origin.Network, "", false},
		{origin.Public, "other", false},
		{origin.Public, "x, 127.0.0.1", true},
		{origin.Machine, "", true},
	} {
		allowed = test.allowed
		for ref, url := range map[string]string{"acme/echo": g.RepoURL("store"), "open/acme": served.URL + "/templates.json"} {
			changeState(t, s, url, func(st *cache.IndexState) { st.Reach = test.store })
			fixture.Must(t, os.RemoveAll(filepath.Join(s.Opts().CacheDir, "templates")))
			_, _, _, err := s.Resolve(t.Context(), ref, store.Scope{Root: t.TempDir()})
			inward, refused := errors.AsType[*git.InwardError](err)
			if (err == nil) != test.ok || !test.ok && (!refused || inward.Host != "127.0.0.1") {
				t.Errorf("%s of a store %v, allowed %q: %v", ref, test.store, test.allowed, err)
			}
			if err == nil {
				break // it is in the cache now
			}
		}
	}
	if _, err := s.Within(origin.Public).FetchTemplate(t.Context(), schema.GitSource{URL: "ssh://git@localhost/x", Commit: recs[0].commit}); !fixture.Is[*git.InwardError](err) {
		t.Errorf("ssh: %v", err)
	}
	allowed = "x.example"
	for _, url := range []string{"file://" + filepath.Join(g.Dir, "open.git"), "file://x.example" + filepath.Join(g.Dir, "open.git"), "FILE://" + filepath.Join(g.Dir, "open.git"), "file:///nowhere"} {
		for _, from := range []origin.Reach{origin.Public, origin.Network} {
			_, err := s.Within(from).FetchTemplate(t.Context(), schema.GitSource{URL: url, Commit: recs[0].commit})
			if inward, refused := errors.AsType[*git.InwardError](err); !refused || inward.Reach != origin.Machine {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
}

// TestStoreIsWhereItAnswers looks at what is noted of stores by each protocol.
func TestStoreIsWhereItAnswers(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "store", servers.Commit{Files: storeTree()})
	s := publisher(t, g.RepoURL("store"))
	changeState(t, s, g.RepoURL("store"), func(st *cache.IndexState) { st.Reach = origin.Public })
	if got := s.ReachOf(store.At("x", g.RepoURL("store"))); got != origin.Public {
		t.Errorf("as noted: %v", got)
	}
	_, err := s.UpdateStores(t.Context())
	fixture.Must(t, err)
	if got := s.ReachOf(store.At("x", g.RepoURL("store"))); got != origin.Machine {
		t.Errorf("read again: %v", got)
	}
	if got := s.ReachOf(store.At("x", "https://never.example.com/x.git")); got != origin.Public {
		t.Errorf("never read: %v", got)
	}
}

// TestCheckSendsNoToken has a change name a place of its own, and a private one that
// the store had before.
func TestCheckSendsNoToken(t *testing.T) {
	t.Parallel()
	open := gitServer(t, servers.GitOptions{})
	private := gitServer(t, servers.GitOptions{User: "git", Password: "s3cret"})
	recs := published(t, open, "1.0.0")
	h := commit(t, private, "templates", servers.Commit{Files: tree("template/acme=1.0.0")})
	before := rec{name: "acme/inner", version: "1.0.0", url: private.RepoURL("templates"), commit: h[0], sum: recs[0].sum}
	namespace := "-- namespaces/acme.json --\n{\"v\": 1}\n"
	commit(t, open, "store", servers.Commit{Files: storeTree(recs[0], before) + namespace})
	dir := clone(t, open.RepoURL("store"))
	l := newLure(t)
	lured, peek := recs[0], before
	lured.name, lured.url = "acme/lure", l.URL+"/x.git"
	peek.version, peek.sum = "1.1.0", "fnb1:sha256:"+strings.Repeat("0", 64)
	h = commit(t, open, "store", servers.Commit{Files: storeTree(recs[0], before, lured, peek) + namespace})
	runGit(t, dir, "fetch", "-q", "origin")
	runGit(t, dir, "checkout", "-q", h[0])
	env := func(name string) string {
		if strings.HasPrefix(name, "FNB_GIT_TOKEN_") {
			return "git:s3cret"
		}
		return ""
	}
	verdict, err := publish.Check(t.Context(), newStore(t, store.Options{Getenv: env}), publish.CheckRequest{Dir: dir, Base: "HEAD~1"})
	fixture.Must(t, err)
	var lines []string
	for _, p := range verdict.Problems {
		lines = append(lines, p.String())
	}
	got := strings.Join(lines, "\n")
	if len(l.told()) > 0 {
		t.Errorf("the change's place was told %q", l.told())
	}
	for _, want := range []string{"no credentials are sent to a repository that only the change names", "inner/v/1.1.0.json: error: cksum: the template has something else"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
	if strings.Contains(got, recs[0].sum) {
		t.Errorf("the checksum of a private repository is told: %s", got)
	}
	_, err = publish.Check(t.Context(), newStore(t, store.Options{Getenv: env}), publish.CheckRequest{Dir: dir, Base: "HEAD~1", Credentials: true})
	fixture.Must(t, err)
	if len(l.told()) == 0 {
		t.Error("it was told nothing, though that was asked for")
	}
}

// TestCheckAsksNoRegistryInside has a change of a store on a public host name registries of the machine that checks it.
func TestCheckAsksNoRegistryInside(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	var asked atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(inside.Close)
	host := strings.TrimPrefix(inside.URL, "http://")
	files := storeTree() + "-- namespaces/acme.json --\n{\"v\": 1}\n"
	for name, at := range map[string]string{"acme/here": host, "acme/cloud": "169.254.169.254", "acme/name": "localhost:1"} {
		files += strings.Replace(functionRecord(name, "1.0.0", "linux/amd64", ""), "registry.example.com", at, 1)
	}
	commit(t, g, "registries", servers.Commit{Files: files})
	dir := clone(t, g.RepoURL("registries"))
	runGit(t, dir, "remote", "set-url", "origin", "https://8.8.8.8/store.git")
	got := checked(t, publish.CheckRequest{Dir: dir, Registries: &registry.Options{}})
	if n := strings.Count(got, " is on this machine, but whoever names it is not"); n != 3 || asked.Load() > 0 {
		t.Errorf("%d registries were refused, and one was asked %d times: %s", n, asked.Load(), got)
	}
	if got := checked(t, publish.CheckRequest{Dir: dir, Registries: &registry.Options{Insecure: []string{host}}}); strings.Count(got, "is on this machine") != 2 || asked.Load() == 0 {
		t.Errorf("one that may be there: %s", got)
	}
}

// TestYankIsTakenBack has a store let a withdrawn version be used again.
func TestYankIsTakenBack(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0")
	recs[1].yank = "lets anybody in"
	commit(t, g, "store", servers.Commit{Files: storeTree(recs...)})
	s := publisher(t, g.RepoURL("store"))
	recs[1].yank = ""
	commit(t, g, "store", servers.Commit{Files: storeTree(recs...)})
	const want = "store main: template acme/echo@1.1.0 may be used again; it had been withdrawn: lets anybody in"
	notes, err := s.UpdateStores(t.Context())
	fixture.Must(t, err)
	if strings.Join(notes, "\n") != want {
		t.Errorf("%q", notes)
	}
	var had schema.Pin
	for range 2 { // it is told whenever it is chosen, also after the store was read again
		_, pin, notes, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()})
		fixture.Must(t, err)
		if pin.Version != "1.1.0" || strings.Join(notes, "\n") != want {
			t.Errorf("%s %q", pin.Version, notes)
		}
		if y := s.Withdrawn("acme/echo@^1", pin); y != nil {
			t.Errorf("it counts as withdrawn: %+v", y)
		}
		had = pin
		_, err = s.UpdateStores(t.Context())
		fixture.Must(t, err)
	}
	recs[1].yank = "again"
	commit(t, g, "store", servers.Commit{Files: storeTree(recs...)})
	_, err = s.UpdateStores(t.Context())
	fixture.Must(t, err)
	if x, _ := s.Cache().OpenIndex(g.RepoURL("store")); len(x.State.Returned) != 0 {
		t.Errorf("%v", x.State.Returned)
	}
	if y := s.Withdrawn("acme/echo@^1", had); y == nil || y.Reason != "again" {
		t.Errorf("what a lock has is not known to be withdrawn: %+v", y)
	}
	had.Checksum = "fnb1:sha256:another"
	if y := s.Withdrawn("acme/echo@^1", had); y != nil {
		t.Errorf("another version counts as withdrawn: %+v", y)
	}
}

// TestFrozenStore has a store not answer for a long time.
func TestFrozenStore(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0")
	dir := t.TempDir()
	indexOf(t, storeTree(recs...), filepath.Join(dir, "i"))
	server := serveFiles(t, dir)
	s := withStores(t, store.Options{})
	url := server.URL + "/i/"
	_, _, err := s.AddStore(t.Context(), "main", url, nil)
	fixture.Must(t, err)
	server.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for age, want := range map[time.Duration]string{time.Hour: "used as it was 1h0m0s ago", 3 * 24 * time.Hour: "used as it was 3 days ago", 8 * 24 * time.Hour: "", -time.Hour: "used as it was 0s ago"} {
		changeState(t, s, url, func(st *cache.IndexState) { st.Checked = time.Now().Add(-age) })
		_, _, notes, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()})
		if want != "" && (err != nil || !strings.Contains(strings.Join(notes, "\n"), want)) {
			t.Errorf("%v: %q %v", age, notes, err)
		}
		if e, ok := errors.AsType[*store.StaleError](err); want == "" && (!ok || e.Name != "main" || !strings.Contains(err.Error(), "8 days ago")) {
			t.Errorf("%v: %v", age, err)
		}
	}
	changeState(t, s, url, func(st *cache.IndexState) { st.Checked = time.Now().Add(-40 * 24 * time.Hour) })
	offline := *s
	offline.Opts().Offline = true
	_, _, notes, err := offline.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()})
	if err != nil || !strings.Contains(strings.Join(notes, "\n"), "used as it was 40 days ago") {
		t.Errorf("offline: %q %v", notes, err)
	}
}
