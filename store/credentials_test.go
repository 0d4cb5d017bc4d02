package store_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"fnb/internal/fixture"
	"fnb/store"
	"fnb/store/credentials"
)

// A lure is a server that wants credentials, and remembers which it got.
type lure struct {
	*httptest.Server
	mu   sync.Mutex
	got  []string
	then http.HandlerFunc // once there are some; nil for more of the same
}

func newLure(t *testing.T) *lure {
	t.Helper()
	l := &lure{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if a := r.Header.Get("Authorization"); a != "" {
			l.got = append(l.got, a)
			if l.then != nil {
				l.then(w, r)
				return
			}
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *lure) told() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.got
}

// helperHome is a home whose git has a helper that writes down what it is asked, and
// says the lines of answer.
func helperHome(t *testing.T, answer ...string) (home, asked string) {
	t.Helper()
	home = t.TempDir()
	asked = filepath.Join(home, "asked")
	said := ""
	for _, line := range answer {
		said += "echo " + line + "; "
	}
	script := "#!/bin/sh\ncat >> " + asked + "\n[ \"$1\" = get ] || exit 0\n" + said + "\n"
	fixture.Must(t, os.WriteFile(filepath.Join(home, "helper"), []byte(script), 0o700)) //nolint:gosec // it is a program
	fixture.Must(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[credential]\n\thelper = "+filepath.Join(home, "helper")+"\n\tuseHttpPath = true\n"), 0o600))
	return home, asked
}

func envOf(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// TestAddressIsOneQuestion has a store's address be several lines, which a credential
// helper would take for another host (CVE-2020-5260, CVE-2020-11008, CVE-2024-52006).
func TestAddressIsOneQuestion(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/a%0ahost=github.com%0aprotocol=https%0apath=acme/",
		"/a%0Ahost=github.com/x.git", "/a%0dhost=github.com/", "/a%00/", "/a%0d%0ahost=github.com/templates.json",
		"/a%e2%80%a8host=github.com/", "/a%1b%5b2J/", "/a%c2%85host=github.com/",
	} {
		l := newLure(t)
		home, asked := helperHome(t, "username=alice", "password=SECRET")
		s := withStores(t, store.Options{Getenv: envOf(map[string]string{"HOME": home})})
		_, _, err := s.AddStore(t.Context(), "evil", l.URL+path, nil)
		if data, rerr := os.ReadFile(asked); err == nil || rerr == nil || len(l.told()) > 0 {
			t.Errorf("%s: %v; the helper was asked %q, the server was told %q", path, err, data, l.told())
		}
	}
}

// TestSecretStaysWithItsOrigin has servers lead whoever has shown a secret to another
// port, scheme or name of the same machine, and back.
func TestSecretStaysWithItsOrigin(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/i/", "/templates.json", "/x.git"} {
		for name, away := range map[string]func(back string) string{
			"another port": func(string) string { return "http://127.0.0.1:%d" },
			"another name": func(string) string { return "http://localhost:%d" },
			"and back":     func(back string) string { return "http://127.0.0.1:%d/back?" + back },
		} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				a := newLure(t)
				var told []string
				var mu sync.Mutex
				b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, r.Header.Get("Authorization"))
					if r.URL.Path == "/back" {
						http.Redirect(w, r, a.URL+"/again", http.StatusFound)
						return
					}
					w.WriteHeader(http.StatusNotFound)
				}))
				t.Cleanup(b.Close)
				var port int
				if _, err := fmt.Sscanf(b.URL, "http://127.0.0.1:%d", &port); err != nil {
					t.Fatal(err)
				}
				to := fmt.Sprintf(away(a.URL), port)
				a.then = func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/again" {
						told = append(told, "again "+r.Header.Get("Authorization"))
					}
					http.Redirect(w, r, to, http.StatusFound)
				}
				s := withStores(t, store.Options{Getenv: envOf(map[string]string{credentials.TokenVariable(strings.TrimPrefix(a.URL, "http://")): "u:SECRET"})})
				_, _, err := s.AddStore(t.Context(), "evil", a.URL+path, nil)
				if err == nil || len(a.told()) == 0 || len(told) == 0 || strings.Contains(err.Error(), "SECRET") {
					t.Fatalf("%v; first %q, then %q", err, a.told(), told)
				}
				for _, got := range told {
					if got != "" {
						t.Errorf("%s was told %q", to, got)
					}
				}
			})
		}
	}
}

// TestHelperAnswersForAnotherHost has a helper name another host than was asked for.
func TestHelperAnswersForAnotherHost(t *testing.T) {
	t.Parallel()
	l := newLure(t)
	home, _ := helperHome(t, "host=github.com", "username=alice", "password=SECRET")
	s := withStores(t, store.Options{Getenv: envOf(map[string]string{"HOME": home})})
	_, _, err := s.AddStore(t.Context(), "evil", l.URL+"/x/", nil)
	if err == nil || len(l.told()) > 0 || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("%v; told %q", err, l.told())
	}
}
