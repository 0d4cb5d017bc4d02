package store_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/store"
	"fnb/store/git"
	"fnb/store/publish"
)

// settings is an environment with a home and these pairs of git's configuration.
func settings(t *testing.T, pairs ...string) map[string]string {
	t.Helper()
	env := map[string]string{"HOME": t.TempDir(), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": fmt.Sprint(len(pairs) / 2)}
	for i := 0; i < len(pairs); i += 2 {
		env[fmt.Sprintf("GIT_CONFIG_KEY_%d", i/2)], env[fmt.Sprintf("GIT_CONFIG_VALUE_%d", i/2)] = pairs[i], pairs[i+1]
	}
	return env
}

// TestAzureDevOps speaks to an imitation of the one rule that keeps many clients out.
func TestAzureDevOps(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{Azure: true})
	h := commit(t, g, "_git/templates%20of%20acme", servers.Commit{Files: tree("template/acme=1.0.0"), Tag: "v1.0.0"}, servers.Commit{Files: tree("template/acme=2.0.0"), Branch: "feature/x"})
	runGit(t, filepath.Join(g.Dir, "_git"), "clone", "-q", "--bare", "templates%20of%20acme.git", "templates of acme")
	runGit(t, filepath.Join(g.Dir, "_git", "templates of acme"), "tag", "-a", "-m", "annotated", "v1.1.0", h[0])
	at := g.URL
	for ref, want := range map[string]string{"#v1.0.0": h[0], "#v1.1.0": h[0], "#feature/x": h[1], "//template/acme#" + h[0]: h[0]} {
		_, pin, _, err := newStore(t, store.Options{}).Resolve(t.Context(), at+"/_git/templates%20of%20acme"+ref, store.Scope{Root: t.TempDir()})
		if err != nil || pin.Commit != want {
			t.Errorf("%s: %+v %v", ref, pin, err)
		}
	}
	recs := published(t, g, "1.0.0")
	commit(t, g, "store", servers.Commit{Files: storeTree(recs...)})
	s := withStores(t, store.Options{})
	_, _, err := s.AddStore(t.Context(), "main", at+"/store.git", nil)
	fixture.Must(t, err)
	if _, pin, _, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()}); err != nil || pin.Version != "1.0.0" {
		t.Errorf("%+v %v", pin, err)
	}
}

func TestInsteadOf(t *testing.T) {
	t.Parallel()
	g, private := gitServer(t, servers.GitOptions{}), gitServer(t, servers.GitOptions{User: "acme", Password: "SECRET"})
	h := commit(t, g, "acme/one", servers.Commit{Files: tree("template/acme=1.0.0"), Tag: "v1.0.0"})
	commit(t, private, "acme/one", servers.Commit{Files: tree("template/acme=1.0.0"), Tag: "v1.0.0"})
	token := strings.Replace(private.URL, "http://", "http://acme:SECRET@", 1)
	for name, test := range map[string]struct {
		pairs []string
		url   string
		fails string
	}{
		"https":            {[]string{"url." + g.URL + "/.insteadOf", "https://git.example.invalid/"}, "https://git.example.invalid/acme/one.git", ""},
		"the longest":      {[]string{"url.http://127.0.0.1:9/.insteadOf", "https://git.", "url." + g.URL + "/acme/.insteadOf", "https://git.example.invalid/acme/"}, "https://git.example.invalid/acme/one.git", ""},
		"of an scp-like":   {[]string{"url." + g.URL + "/.insteadOf", "git@git.example.invalid:"}, "git@git.example.invalid:acme/one.git", ""},
		"a folder":         {[]string{"url." + g.Dir + "/.insteadOf", "https://git.example.invalid/"}, "https://git.example.invalid/acme/one.git", ""},
		"with a token":     {[]string{"url." + token + "/.insteadOf", "https://git.example.invalid/"}, "https://git.example.invalid/acme/one.git", ""},
		"to nobody":        {[]string{"url.http://127.0.0.1:9/.insteadOf", "https://git.example.invalid/"}, "https://git.example.invalid/acme/one.git", "at http://127.0.0.1:9/acme/one.git, which git's configuration has insteadOf it"},
		"a control":        {[]string{"url.http://127.0.0.1/%0a.insteadOf", "https://git.example.invalid/"}, "https://git.example.invalid/acme/one.git", "control characters"},
		"an option of ssh": {[]string{"url.ssh://-oProxyCommand=x/.insteadOf", "https://git.example.invalid/"}, "https://git.example.invalid/acme/one.git", "malformed"},
		"a path of ssh":    {[]string{"url.git@127.0.0.1:--.insteadOf", "https://git.example.invalid/"}, "https://git.example.invalid/acme/one.git", "hyphen"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, store.Options{Getenv: envOf(settings(t, test.pairs...))})
			_, pin, _, err := s.Resolve(t.Context(), test.url+"#v1.0.0", store.Scope{Root: t.TempDir()})
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) || !strings.HasPrefix(err.Error(), test.url) || strings.Contains(err.Error(), "SECRET") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || pin.Commit != h[0] || pin.Store != test.url+"#v1.0.0" {
				t.Errorf("%+v %v", pin, err)
			}
			data := ""
			fixture.Must(t, filepath.WalkDir(s.Opts().CacheDir, func(p string, d os.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					b, _ := os.ReadFile(p)
					data += string(b)
				}
				return err
			}))
			if strings.Contains(data, "SECRET") {
				t.Error("the cache has the token")
			}
		})
	}
}

// TestPushInsteadOf publishes to another place than it reads from.
func TestPushInsteadOf(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "store", servers.Commit{Files: "-- store.json --\n{\"v\": 1}\n"})
	var pushed atomic.Int32
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pushed.Add(1)
		g.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	env := settings(t, "url."+g.URL+"/.insteadOf", "https://git.example.invalid/", "url."+door.URL+"/.pushInsteadOf", "https://git.example.invalid/")
	s := withStores(t, store.Options{Getenv: func(name string) string {
		if v := author(name); v != "" && name != "HOME" {
			return v
		}
		return env[name]
	}})
	_, _, err := s.AddStore(t.Context(), "main", "https://git.example.invalid/store.git", nil)
	fixture.Must(t, err)
	dir := versionless(t, g, "one", "x")
	before := pushed.Load()
	_, err = publish.Template(t.Context(), s, publish.Publication{Dir: dir, Store: "main", Name: "acme/echo", Version: "1.0.0", Source: g.RepoURL("one")})
	if err != nil || before != 0 || pushed.Load() == 0 {
		t.Errorf("%v; %d asked before, %d after", err, before, pushed.Load())
	}
}

// TestExtraHeader sends a header to the origin that it is for, and to nobody else.
func TestExtraHeader(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0")})
	var seen atomic.Value
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(fmt.Sprint(r.Header))
		g.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(open.Close)
	closed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer SECRET":
			http.Error(w, "a bearer, please", http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/away/"):
			http.Redirect(w, r, open.URL+strings.TrimPrefix(r.URL.RequestURI(), "/away"), http.StatusFound)
		default:
			g.Handler().ServeHTTP(w, r)
		}
	}))
	t.Cleanup(closed.Close)
	scoped := []string{"http." + closed.URL + "/.extraHeader", "Authorization: Bearer SECRET", "http." + closed.URL + "/.extraHeader", "X-Key: SECRET"}
	resolve := func(address string, pairs ...string) error {
		_, _, _, err := newStore(t, store.Options{Getenv: envOf(settings(t, pairs...))}).Resolve(t.Context(), address, store.Scope{Root: t.TempDir()})
		return err
	}
	fixture.Must(t, resolve(closed.URL+"/one.git", scoped...))
	fixture.Must(t, resolve(open.URL+"/one.git", scoped...))
	fixture.Must(t, resolve(closed.URL+"/away/one.git", scoped...))
	if s := fmt.Sprint(seen.Load()); strings.Contains(s, "SECRET") {
		t.Errorf("another server was shown %s", s)
	}
	err := resolve(closed.URL+"/one.git", "http.extraHeader", "Authorization: Bearer SECRET")
	told, ok := errors.AsType[*git.UnfollowedError](err)
	if !ok || !fixture.Is[*git.AuthError](err) || !strings.HasPrefix(told.Keys[0], "http.extraHeader for all hosts") || !strings.Contains(err.Error(), "a bearer, please") {
		t.Errorf("%v", err)
	}
	for _, odd := range []string{"no colon", "A b: c", "A: b\r\nc: d"} {
		if err := resolve(open.URL+"/one.git", "http."+open.URL+"/.extraHeader", odd); err == nil || !strings.Contains(err.Error(), "is not a header") {
			t.Errorf("%q: %v", odd, err)
		}
	}
	// A check of what strangers propose has no secrets to show.
	s := newStore(t, store.Options{Getenv: envOf(settings(t, scoped...))})
	s = s.Restrain(git.Restraint{MaySend: func(string) bool { return false }})
	if _, _, _, err := s.Resolve(t.Context(), closed.URL+"/one.git", store.Scope{Root: t.TempDir()}); !fixture.Is[*git.AuthError](err) {
		t.Errorf("%v", err)
	}
}

// TestGitProxy goes by way of a proxy that git's configuration names.
func TestGitProxy(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0")})
	target, err := url.Parse(g.URL)
	fixture.Must(t, err)
	var went atomic.Int32
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		went.Add(1)
		r.SetURL(target)
	}})
	t.Cleanup(proxy.Close)
	resolve := func(env map[string]string) error {
		_, _, _, err := newStore(t, store.Options{Getenv: envOf(env)}).Resolve(t.Context(), "http://localhost:9/one.git", store.Scope{Root: t.TempDir()})
		return err
	}
	fixture.Must(t, resolve(settings(t, "http.proxy", "http://127.0.0.1:1", "http.http://localhost:9/.proxy", strings.TrimPrefix(proxy.URL, "http://"))))
	if went.Load() == 0 {
		t.Error("the proxy was not asked")
	}
	env := settings(t, "http.proxy", proxy.URL)
	env["NO_PROXY"] = "localhost"
	before := went.Load()
	if err := resolve(env); err == nil || went.Load() != before {
		t.Errorf("NO_PROXY: %v", err)
	}
	if err := resolve(settings(t, "http.proxy", "ftp://u:SECRET@h")); err == nil || !strings.Contains(err.Error(), "of the kind ftp") || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("%v", err)
	}
}

// TestGitCertificates speaks to a server whose authority git's configuration names, and
// which asks for a certificate.
func TestGitCertificates(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0")})
	quiet := log.New(io.Discard, "", 0)
	server := httptest.NewUnstartedServer(g.Handler())
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	fixture.Must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	for name, test := range map[string]struct {
		pairs []string
		fails string
	}{
		"nothing":             {nil, "certificate"},
		"sslCAInfo":           {[]string{"http.sslCAInfo", ca}, ""},
		"sslCAPath":           {[]string{"http.sslCAPath", filepath.Dir(ca)}, ""},
		"sslVerify":           {[]string{"http." + server.URL + ".sslVerify", "false"}, ""},
		"sslVerify for all":   {[]string{"http.sslVerify", "false"}, "certificate"},
		"sslVerify elsewhere": {[]string{"http.https://elsewhere/.sslVerify", "false"}, "certificate"},
		"no such file":        {[]string{"http.sslCAInfo", ca + "x"}, "http.sslCAInfo of git's configuration"},
		"no certificates":     {[]string{"http.sslCAInfo", os.Args[0]}, "has no certificates"},
		"a pinned key":        {[]string{"http.pinnedPubkey", "sha256//x"}, "http.pinnedPubkey for it, which fnb does not follow"},
	} {
		_, _, _, err := newStore(t, store.Options{Getenv: envOf(settings(t, test.pairs...))}).Resolve(t.Context(), server.URL+"/one.git", store.Scope{Root: t.TempDir()})
		if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s: %v", name, err)
		}
		if told, ok := errors.AsType[*git.UnfollowedError](err); ok != (name == "sslVerify for all") || ok && !strings.HasPrefix(told.Keys[0], "http.sslVerify for all hosts") {
			t.Errorf("%s: %+v", name, told)
		}
	}
	certs, err := servers.MakeCerts(t.TempDir())
	fixture.Must(t, err)
	mutual := httptest.NewUnstartedServer(g.Handler())
	mutual.Config.ErrorLog, mutual.TLS = quiet, certs.Mutual()
	mutual.StartTLS()
	t.Cleanup(mutual.Close)
	for want, pairs := range map[string][]string{
		"":            {"http.sslCAInfo", certs.CA, "http." + mutual.URL + ".sslCert", certs.ClientCert, "http." + mutual.URL + ".sslKey", certs.ClientKey},
		"certificate": {"http.sslCAInfo", certs.CA},
	} {
		_, _, _, err := newStore(t, store.Options{Getenv: envOf(settings(t, pairs...))}).Resolve(t.Context(), mutual.URL+"/one.git", store.Scope{Root: t.TempDir()})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", pairs, err)
		}
	}
}

// TestNoGitServer is told what answers instead.
func TestNoGitServer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		is     func(error) bool
		want   string
	}{
		"a page": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "<!DOCTYPE html><html><head><title>Welcome to\n nginx &amp; co</title>")
		}, fixture.Is[*git.NoGitError], "no git server answers there: Welcome to nginx & co"},
		"404":             {http.NotFound, fixture.Is[*store.NotFoundError], "the server has no such repository: it says: 404 page not found"},
		"a page for 404":  {answer(404, "text/html", "<html><title>Not Found</title>"), fixture.Is[*store.NotFoundError], "the server has no such repository"},
		"JSON":            {answer(403, "application/json", `{"message":"rate \u001b[2J limit"}`), fixture.Is[*git.AuthError], "rate limit"},
		"a bucket":        {answer(404, "application/xml", "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"), fixture.Is[*store.NotFoundError], "The specified key does not exist."},
		"a plain file":    {answer(200, "text/plain", strings.Repeat("0", 40)+"\trefs/heads/main\n"), fixture.Is[*git.NoGitError], "no server speaks git's protocol"},
		"a picture":       {answer(200, "image/png", "\x89PNG"), fixture.Is[*git.NoGitError], "no git server answers there"},
		"no reading":      {answer(203, "text/html", "<html><title>Azure DevOps Services | Sign In</title>"), fixture.Is[*git.AuthError], "a page to sign in: Azure DevOps Services | Sign In"},
		"nothing":         {answer(200, "", ""), fixture.Is[*git.NoGitError], "no git server answers there"},
		"503":             {answer(503, "text/plain", "down for\x1b[31m maintenance"), fixture.Is[*git.UnreachableError], "the server answered 503 Service Unavailable: down for maintenance"},
		"git's own error": {answer(200, "application/x-git-upload-pack-advertisement", "0016ERR not for you\n\n\n"), fixture.Is[*git.UnreachableError], "the server says: not for you"},
		"GitLab": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/users/sign_in" {
				answer(200, "text/html", "<title>Sign in · GitLab</title>")(w, r)
				return
			}
			http.Redirect(w, r, "/users/sign_in", http.StatusFound)
		}, fixture.Is[*git.AuthError], "a page to sign in: Sign in · GitLab"},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				answer(200, "text/html", "<title>We have moved</title>")(w, r)
				return
			}
			http.Redirect(w, r, "/moved", http.StatusFound)
		}, fixture.Is[*git.NoGitError], "/moved, and no git server answers there: We have moved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.answer)
			t.Cleanup(server.Close)
			_, _, _, err := newStore(t, store.Options{}).Resolve(t.Context(), server.URL+"/one.git", store.Scope{Root: t.TempDir()})
			if err == nil || !test.is(err) || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("%T %v", err, err)
			}
		})
	}
}

func answer(code int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

// TestOtherObjectFormat meets repositories whose objects have SHA-256 names.
func TestOtherObjectFormat(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	work := t.TempDir()
	runGit(t, work, "init", "-q", "--object-format=sha256")
	fixture.Must(t, os.WriteFile(filepath.Join(work, "template.yml"), []byte("fprocess: cat\n"), 0o600))
	runGit(t, work, "add", ".")
	runGit(t, work, "commit", "-qm", "x")
	runGit(t, g.Dir, "clone", "-q", "--bare", work, "one.git")
	daemon, err := g.Daemon(t.Context())
	fixture.Must(t, err)
	for _, address := range []string{g.RepoURL("one"), daemon + "/one.git", "file://" + filepath.Join(g.Dir, "one.git"), "file://" + work} {
		_, _, _, err := newStore(t, store.Options{}).Resolve(t.Context(), address, store.Scope{Root: t.TempDir()})
		if want := address + ": sha256 repositories are not supported"; !fixture.Is[*git.FormatError](err) || err.Error() != want {
			t.Errorf("%T %v", err, err)
		}
	}
}
