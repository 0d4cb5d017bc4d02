package store_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fnb/store"
)

// A list that leads elsewhere than to HTTP, or round and round, is refused with
// the place it leads to.
func TestListRedirects(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"file:///etc/passwd": "redirects to file://",
		"/list.json":         "more than five times",
	} {
		srv := httptest.NewServer(http.RedirectHandler(to, http.StatusFound))
		t.Cleanup(srv.Close)
		s, err := store.New(store.Options{CacheDir: t.TempDir(), StoresFile: t.TempDir() + "/stores.json"})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.AddStore(t.Context(), "acme", srv.URL+"/list.json", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", to, err, want)
		}
	}
}
