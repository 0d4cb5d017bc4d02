package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fnb/images/imagestest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

func writeFile(tb testing.TB, path, content string) string {
	tb.Helper()
	fixture.Must(tb, os.MkdirAll(filepath.Dir(path), 0o700))
	fixture.Must(tb, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// helperScript is a credential helper that keeps one file a server.
const helperScript = `#!/bin/sh
dir="${0%/*}/kept"
mkdir -p "$dir"
file() { printf %s "$1" | tr -c 'A-Za-z0-9\n' _; }
case "$1" in
store)
	in=$(cat)
	url=$(printf %s "$in" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/')
	printf %s "$in" > "$dir/$(file "$url")" ;;
get)
	url=$(cat)
	if ! cat "$dir/$(file "$url")" 2>/dev/null; then
		echo "credentials not found in native keychain"
		exit 1
	fi ;;
erase)
	url=$(cat)
	rm -f "$dir/$(file "$url")" ;;
esac
`

// TestCredentialHelper changes PATH and so cannot run beside others.
func TestCredentialHelper(t *testing.T) {
	bin := t.TempDir()
	fixture.Must(t, os.WriteFile(filepath.Join(bin, "docker-credential-shell"), []byte(helperScript), 0o700))
	fixture.Must(t, os.WriteFile(filepath.Join(bin, "docker-credential-broken"), []byte("#!/bin/sh\necho 'the vault is locked\x1b[2J'\nexit 3\n"), 0o700))
	fixture.Must(t, os.WriteFile(filepath.Join(bin, "docker-credential-hanging"), []byte("#!/bin/sh\nexec sleep 60\n"), 0o700))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	reg := servers.RegistryFor(t, servers.RegistryOptions{User: "ada", Password: "s3cret"})
	dir := t.TempDir()
	config := writeFile(t, filepath.Join(dir, "config.json"),
		`{"credsStore": "shell", "credHelpers": {"locked.example.com": "broken", "slow.example.com": "hanging"}, "psFormat": "<x>"}`)
	c := newClient(t, Options{DockerConfig: dir})

	stored, err := c.Login(t.Context(), reg.Host, "ada", "s3cret")
	fixture.Must(t, err)
	if diff := cmp.Diff(Stored{Helper: "shell"}, stored); diff != "" {
		t.Error(diff)
	}
	b, err := os.ReadFile(config)
	fixture.Must(t, err)
	if strings.Contains(string(b), "auths") {
		t.Errorf("the secret went into the file: %s", b)
	}
	user, secret, err := c.Credentials(t.Context(), reg.Host)
	if err != nil || user != "ada" || secret != "s3cret" {
		t.Errorf("%q %q %v", user, secret, err)
	}
	s := imagestest.NewStore(t)
	imagestest.Put(t, s, reg.Host+"/acme/hello:1", imagestest.NewImage(t))
	if _, err := c.Push(t.Context(), s, reg.Host+"/acme/hello:1"); err != nil {
		t.Error(err)
	}
	if had, err := c.Logout(t.Context(), reg.Host); err != nil || !had {
		t.Errorf("Logout: %v, %v", had, err)
	}
	if had, err := c.Logout(t.Context(), reg.Host); err != nil || had {
		t.Errorf("Logout again: %v, %v", had, err)
	}
	if user, _, err := c.Credentials(t.Context(), reg.Host); err != nil || user != "" {
		t.Errorf("after Logout: %q, %v", user, err)
	}

	_, _, err = c.Credentials(t.Context(), "locked.example.com")
	if err == nil || !strings.HasSuffix(err.Error(), "docker-credential-broken get: the vault is locked") {
		t.Errorf("a locked vault: %q", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := c.Credentials(ctx, "slow.example.com"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a hanging helper: %v", err)
	}
}

func TestLoginKeepsTheRestOfTheFile(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{User: "ada", Password: "s3cret"})
	dir := t.TempDir()
	target := writeFile(t, filepath.Join(t.TempDir(), "dotfiles", "docker.json"),
		`{"auths": {"ghcr.io": {"auth": "`+basic("x", "y")+`", "unknown": 1}}, "detachKeys": "ctrl-e,e", "plugins": {"a": {"b": "c"}}}`)
	fixture.Must(t, os.Chmod(target, 0o644))
	fixture.Must(t, os.Symlink(target, filepath.Join(dir, "config.json")))
	c := newClient(t, Options{DockerConfig: dir})
	stored, err := c.Login(t.Context(), reg.Host, "ada", "s3cret")
	fixture.Must(t, err)
	if stored.File != filepath.Join(dir, "config.json") {
		t.Errorf("%+v", stored)
	}
	b, err := os.ReadFile(target)
	fixture.Must(t, err)
	var got map[string]any
	fixture.Must(t, json.Unmarshal(b, &got))
	want := map[string]any{
		"auths": map[string]any{
			"ghcr.io": map[string]any{"auth": basic("x", "y"), "unknown": float64(1)},
			reg.Host:  map[string]any{"auth": basic("ada", "s3cret")},
		},
		"detachKeys": "ctrl-e,e",
		"plugins":    map[string]any{"a": map[string]any{"b": "c"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	info, err := os.Lstat(target)
	fixture.Must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if info, err := os.Lstat(filepath.Join(dir, "config.json")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v", err)
	}
	had, err := c.Logout(t.Context(), reg.Host)
	if err != nil || !had {
		t.Errorf("Logout: %v %v", had, err)
	}
	b, err = os.ReadFile(target)
	fixture.Must(t, err)
	if strings.Contains(string(b), reg.Host) || !strings.Contains(string(b), "ghcr.io") {
		t.Errorf("after Logout: %s", b)
	}
}

func TestLoginMakesTheFile(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	dir := filepath.Join(t.TempDir(), "not", "there")
	c := newClient(t, Options{DockerConfig: dir})
	_, err := c.Login(t.Context(), reg.Host, "ada", "s3cret")
	fixture.Must(t, err)
	info, err := os.Stat(filepath.Join(dir, "config.json"))
	fixture.Must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	for _, host := range []string{"", "a b", "http://x/", "x/y"} {
		if _, err := c.Login(t.Context(), host, "u", "p"); err == nil {
			t.Errorf("%q was logged in to", host)
		}
	}
	if _, err := c.Login(t.Context(), reg.Host, "ada", ""); err == nil {
		t.Error("no password, no error")
	}
}

// TestTokens logs in to and pushes to a registry that wants tokens of a token
// server: the real registry behind a front that asks for them.
func TestTokens(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	front := tokenFront(t, reg.URL)
	host := strings.TrimPrefix(front.URL, "http://")
	c := newClient(t, Options{})
	_, err := c.Login(t.Context(), host, "ada", "wrong")
	if e, ok := errors.AsType[*AuthError](err); !ok || e.Status != http.StatusUnauthorized {
		t.Errorf("a wrong password: %v", err)
	}
	_, err = c.Login(t.Context(), host, "ada", "s3cret")
	fixture.Must(t, err)
	s := imagestest.NewStore(t)
	layer := imagestest.NewLayer(t, 5000)
	imagestest.Put(t, s, host+"/acme/a:1", imagestest.NewImage(t, layer))
	imagestest.Put(t, s, host+"/acme/b:1", imagestest.NewImage(t, layer))
	for _, ref := range []string{host + "/acme/a:1", host + "/acme/b:1"} {
		if _, err := c.Push(t.Context(), s, ref); err != nil {
			t.Error(err)
		}
	}
	if _, err := newClient(t, Options{}).Head(t.Context(), host+"/acme/a:1"); err == nil {
		t.Error("nobody may read without credentials")
	}
}

// TestTokenExpires lets the token be refused at each request that has a body.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	front := tokenFront(t, reg.URL, http.MethodPatch, http.MethodPut)
	host := strings.TrimPrefix(front.URL, "http://")
	c := newClient(t, Options{})
	_, err := c.Login(t.Context(), host, "ada", "s3cret")
	fixture.Must(t, err)
	s := imagestest.NewStore(t)
	imagestest.Put(t, s, host+"/acme/a:1", imagestest.NewImage(t, imagestest.NewLayer(t, 300_000)))
	if _, err := c.Push(t.Context(), s, host+"/acme/a:1"); err != nil {
		t.Error(err)
	}
}

// tokenFront puts a front before a registry that wants a token, and lets the
// token expire just before the first request of each of the given methods.
func tokenFront(t *testing.T, backend string, expire ...string) *httptest.Server {
	t.Helper()
	forward := newForward(t, backend)
	var mu sync.Mutex
	token := 0
	mux := http.NewServeMux()
	front := httptest.NewServer(mux)
	t.Cleanup(front.Close)
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "ada" || password != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if err := json.NewEncoder(w).Encode(map[string]string{"token": fmt.Sprintf("t0ken%d", token)}); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if i := slices.Index(expire, r.Method); i >= 0 {
			token++
			expire = slices.Delete(expire, i, i+1)
		}
		want := fmt.Sprintf("Bearer t0ken%d", token)
		mu.Unlock()
		if r.Header.Get("Authorization") != want {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+front.URL+`/token",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		forward.ServeHTTP(w, r)
	})
	return front
}
