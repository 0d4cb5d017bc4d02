package store_test

import (
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
	"fnb/store"
	"fnb/store/cache"
)

// TestRewrittenTag moves a tag to other files, and at last forgets the commit that it
// was at.
func TestRewrittenTag(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	h := commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0"), Tag: "v1.0.0"})
	bare := filepath.Join(g.Dir, "one.git")
	ref := g.RepoURL("one") + "#v1.0.0"
	warm := newStore(t, store.Options{})
	_, pin, _, err := warm.Resolve(t.Context(), ref, store.Scope{Root: t.TempDir()})
	fixture.Must(t, err)
	locked := store.Scope{Root: t.TempDir(), Lock: &schema.Lock{Templates: map[string]schema.Pin{ref: pin}}}
	sum := pin.Checksum
	commit(t, g, "store", servers.Commit{Files: storeTree(rec{name: "acme/echo", version: "1.0.0", url: g.RepoURL("one"), commit: h[0], sum: sum})})

	other := commit(t, g, "one", servers.Commit{Files: tree("template/acme=6.6.6"), Branch: "other"})
	runGit(t, bare, "tag", "-f", "v1.0.0", other[0])
	for name, s := range map[string]*store.Finder{"a warm cache": warm, "an empty cache": newStore(t, store.Options{})} {
		tmpl, got, _, err := s.Resolve(t.Context(), ref, locked)
		if err != nil || got != pin || tmpl.Manifest.Version != "1.0.0" {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	// Nobody has pinned it: it is what it is now.
	if _, got, _, err := newStore(t, store.Options{}).Resolve(t.Context(), ref, store.Scope{Root: t.TempDir()}); err != nil || got.Version != "6.6.6" {
		t.Errorf("%+v %v", got, err)
	}
	runGit(t, bare, "update-ref", "refs/heads/main", other[0])
	runGit(t, bare, "reflog", "expire", "--expire=now", "--all")
	runGit(t, bare, "gc", "-q", "--prune=now")
	if _, got, _, err := warm.Resolve(t.Context(), ref, locked); err != nil || got != pin {
		t.Errorf("a warm cache: %+v %v", got, err)
	}
	s := withStores(t, store.Options{})
	_, _, err = s.AddStore(t.Context(), "main", g.RepoURL("store"), nil)
	fixture.Must(t, err)
	for _, test := range []struct {
		ref   string
		scope store.Scope
	}{{ref, locked}, {"acme/echo", store.Scope{Root: t.TempDir()}}} {
		if _, _, _, err := s.Resolve(t.Context(), test.ref, test.scope); !store.IsMissing(err) || !strings.Contains(err.Error(), "has no commit "+h[0]) {
			t.Errorf("%s, of which the commit is gone: %v", test.ref, err)
		}
	}
}

// TestForcePushedStore replaces a store's history: what the cache has stays, as long as
// a version is gone or different.
func TestForcePushedStore(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0")
	commit(t, g, "store", servers.Commit{Files: storeTree(recs...)})
	bare := filepath.Join(g.Dir, "store.git")
	s := withStores(t, store.Options{TTL: 1})
	_, _, err := s.AddStore(t.Context(), "main", g.RepoURL("store"), nil)
	fixture.Must(t, err)
	swapped := []rec{recs[0], recs[1]}
	swapped[0].sum, swapped[0].commit = recs[1].sum, recs[1].commit
	for i, tree := range []string{storeTree(recs[1]), storeTree(swapped...), "-- store.json --\n{\"v\": 1}\n"} {
		branch := string(rune('a' + i)) // a history of its own
		h := commit(t, g, "store", servers.Commit{Files: tree, Branch: branch})
		runGit(t, bare, "update-ref", "refs/heads/main", h[0])
		if _, err := s.UpdateStores(t.Context()); !fixture.Is[*cache.RewrittenError](err) || !strings.Contains(err.Error(), "1.0.0 of acme/echo is gone or different") {
			t.Errorf("%s: %v", branch, err)
		}
		offline := newStore(t, store.Options{CacheDir: s.Opts().CacheDir, StoresFile: s.Opts().StoresFile, Offline: true})
		if versions, err := offline.Versions(t.Context(), "acme/echo"); err != nil || len(versions) != 2 {
			t.Errorf("%s: the cache has %+v %v", branch, versions, err)
		}
	}
	// Another history with the same records is the same store.
	h := commit(t, g, "store", servers.Commit{Files: storeTree(recs...) + "-- README --\nx\n", Branch: "same"})
	runGit(t, bare, "update-ref", "refs/heads/main", h[0])
	_, err = s.UpdateStores(t.Context())
	fixture.Must(t, err)
	_, pin, _, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()})
	if err != nil || pin.Version != "1.1.0" {
		t.Errorf("%+v %v", pin, err)
	}
}
