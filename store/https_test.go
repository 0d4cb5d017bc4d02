package store_test

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/store"
	"fnb/store/git"
)

func TestResolveHTTPS(t *testing.T) {
	t.Parallel()
	certs, err := servers.MakeCerts(t.TempDir())
	fixture.Must(t, err)
	g := gitServer(t, servers.GitOptions{TLS: certs, User: "git", Password: "s3cret"})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0"), Tag: "v1.0.0"})
	env := func(name string) string {
		if strings.HasPrefix(name, "FNB_GIT_TOKEN_127_0_0_1_") {
			return "s3cret"
		}
		return ""
	}
	pem, err := os.ReadFile(certs.CA)
	fixture.Must(t, err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	_, pin, _, err := newStore(t, store.Options{RootCAs: pool, Getenv: env}).Resolve(t.Context(), g.RepoURL("one")+"#v1.0.0", store.Scope{Root: t.TempDir()})
	if err != nil || pin.Version != "1.0.0" {
		t.Errorf("%+v %v", pin, err)
	}
	_, _, _, err = newStore(t, store.Options{Getenv: env}).Resolve(t.Context(), g.RepoURL("one")+"#v1.0.0", store.Scope{Root: t.TempDir()})
	if !fixture.Is[*git.UnreachableError](err) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an authority that nobody knows: %v", err)
	}
}

// TestTokenStaysWithItsHost has a server lead whoever has shown a token to another.
func TestTokenStaysWithItsHost(t *testing.T) {
	t.Parallel()
	var asked, told atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			told.Add(1)
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(other.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, other.URL+r.URL.RequestURI(), http.StatusFound)
	}))
	t.Cleanup(server.Close)
	variable := "FNB_GIT_TOKEN_" + strings.NewReplacer(".", "_", ":", "_").Replace(strings.TrimPrefix(server.URL, "http://"))
	s := newStore(t, store.Options{Getenv: func(name string) string {
		if name == variable {
			return "s3cret"
		}
		return ""
	}})
	_, _, _, err := s.Resolve(t.Context(), server.URL+"/x/y.git", store.Scope{Root: t.TempDir()})
	if err == nil || asked.Load() == 0 || told.Load() > 0 || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("asked %d times, told %d times: %v", asked.Load(), told.Load(), err)
	}
}
