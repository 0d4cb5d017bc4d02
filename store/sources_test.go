package store_test

import (
	"testing"

	"fnb/internal/fixture"
	"fnb/store"
)

// TestKinds holds how a URL says what kind of store is there.
func TestKinds(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://git.example.com/acme/store.git": "git", "ssh://git@git.example.com/store": "git", "file:///srv/store.git": "git", "https://git.example.com/acme/store": "git",
		"https://store.example.com/index/": "index", "/srv/index/": "index", "http://127.0.0.1:1/": "index",
		"https://example.com/templates.json": "list", "/srv/functions.json": "list", "file:///srv/templates.json": "list",
		"/srv/store": "folder", "/": "index",
	} {
		if got := store.KindOf(store.At("x", url)); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

// TestKindsThatAreOnlyRead has what is generated or foreign be published to.
func TestKindsThatAreOnlyRead(t *testing.T) {
	t.Parallel()
	s := newStore(t, store.Options{})
	for _, url := range []string{"https://store.example.com/index/", "https://example.com/templates.json"} {
		if _, err := s.Add(t.Context(), store.At("x", url), store.Addition{}); err == nil || fixture.Is[*store.OfflineError](err) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestMayLeadTo holds what a store may say of folders of this machine.
func TestMayLeadTo(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{"https://git.example.com/store": false, "/srv/store": true, "file:///srv/store.git": true, "https://example.com/i/": false} {
		c := store.At("x", url)
		if c.MayLeadTo("file:///etc") != want || c.MayLeadTo("file:/etc") != want || !c.MayLeadTo("https://git.example.com/t") {
			t.Errorf("%s: %v", url, !want)
		}
	}
}
