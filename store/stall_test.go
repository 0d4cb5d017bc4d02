package store_test

import (
	"encoding/base64"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/knownhosts"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/store"
	"fnb/store/git"
	"fnb/store/publish"
)

// A door is a way to a repository that can be broken.
type door struct {
	proxy *servers.TCPProxy
	url   string // of the repository one
	env   map[string]string
}

// doors are the ways to the repositories of a git server, by their protocol.
func doors(t *testing.T, g *servers.Git) map[string]door {
	t.Helper()
	daemon, err := g.Daemon(t.Context())
	fixture.Must(t, err)
	http, git := servers.TCPProxyFor(t, strings.TrimPrefix(g.URL, "http://")), servers.TCPProxyFor(t, strings.TrimPrefix(daemon, "git://"))
	server := servers.SSHFor(t)
	ssh := servers.TCPProxyFor(t, server.Addr)
	var known strings.Builder
	for _, key := range server.HostKeys {
		known.WriteString(knownhosts.Line([]string{ssh.Addr}, key) + "\n")
	}
	return map[string]door{
		"http": {http, "http://" + http.Addr + "/one.git", nil},
		"git":  {git, "git://" + git.Addr + "/one.git", nil},
		"ssh": {
			ssh, "ssh://" + server.User + "@" + ssh.Addr + filepath.ToSlash(filepath.Join(g.Dir, "one.git")),
			sshHome(t, known.String(), sshAgent(t, server, server.Key)),
		},
	}
}

// noise is text that cannot be made much smaller.
func noise(size int) string {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, size/4*3)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return base64.StdEncoding.EncodeToString(data)
}

// TestServersThatBreak has real servers of each protocol stall and end at the first
// byte and in the middle of the pack: an error, nothing kept, and a cache that is good.
func TestServersThatBreak(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0") + "-- template/acme/big --\n" + noise(3<<20) + "\n"})
	middle := int64(1 << 20)
	for protocol, d := range doors(t, g) {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			for name, test := range map[string]struct {
				fault   servers.TCPFault
				timeout time.Duration
				want    string
			}{
				"stalls at first":      {servers.TCPFault{}, 300 * time.Millisecond, "the server has said nothing for 300ms"},
				"stalls in the middle": {servers.TCPFault{After: middle}, time.Second, "the server has said nothing for 1s"},
				"ends at first":        {servers.TCPFault{Cut: true}, 0, ""},
				"ends in the middle":   {servers.TCPFault{After: middle, Cut: true}, 0, ""},
			} {
				cache := filepath.Join(t.TempDir(), "cache")
				open := func(timeout time.Duration) *store.Finder {
					return newStore(t, store.Options{CacheDir: cache, Timeout: timeout, Getenv: func(name string) string { return d.env[name] }})
				}
				d.proxy.Break(&test.fault)
				_, _, _, err := open(test.timeout).Resolve(t.Context(), d.url, store.Scope{Root: t.TempDir()})
				if !fixture.Is[*git.UnreachableError](err) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canceled") {
					t.Errorf("%s: %T %v", name, err, err)
				} else {
					t.Logf("%s: %v", name, err)
				}
				if n := templatesIn(t, cache); n != 0 {
					t.Errorf("%s: the cache has %d templates", name, n)
				}
				if left, err := os.ReadDir(filepath.Join(cache, "unfinished")); err == nil && len(left) > 0 {
					t.Errorf("%s: left behind: %v", name, left)
				}
				d.proxy.Break(nil)
				if _, pin, _, err := open(0).Resolve(t.Context(), d.url, store.Scope{Root: t.TempDir()}); err != nil || pin.Version != "1.0.0" {
					t.Errorf("after %q: %v", name, err)
				}
			}
		})
	}
}

// TestPushesThatStall has the server take only the beginning of what is published.
func TestPushesThatStall(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	fixture.Must(t, os.WriteFile(filepath.Join(out, "big"), []byte(noise(2<<20)), 0o600)) // more than the proxy lets pass
	for _, protocol := range []string{"http", "ssh"} {                                    // git daemon takes nothing
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			g := gitServer(t, servers.GitOptions{})
			commit(t, g, "one", servers.Commit{Files: "-- store.json --\n{\"v\": 1}\n"})
			dir := clone(t, g.RepoURL("one"))
			stall, heal, url, env := stalling(t, g, protocol)
			open := func(timeout time.Duration) *store.Finder {
				return newStore(t, store.Options{Timeout: timeout, Getenv: func(name string) string { return env[name] }})
			}
			stall()
			_, _, err := publish.PushIndex(t.Context(), open(2*time.Second), dir, out, url)
			if !fixture.Is[*git.UnreachableError](err) || !strings.Contains(err.Error(), "the server has said nothing for 2s") {
				t.Errorf("%T %v", err, err)
			}
			heal()
			if _, pushed, err := publish.PushIndex(t.Context(), open(0), dir, out, url); err != nil || !pushed {
				t.Errorf("whole again: %v %v", pushed, err)
			}
			if got := runGit(t, dir, "ls-remote", g.RepoURL("one"), "refs/heads/index"); !strings.Contains(got, "refs/heads/index") {
				t.Errorf("the server has %q", got)
			}
		})
	}
}

// stalling is a way to the repository one that stops taking what is sent on it.
func stalling(t *testing.T, g *servers.Git, protocol string) (stall, heal func(), url string, env map[string]string) {
	t.Helper()
	if protocol != "http" {
		d := doors(t, g)[protocol]
		return func() { d.proxy.Break(&servers.TCPFault{After: 1 << 20, Upload: true}) }, func() { d.proxy.Break(nil) }, d.url, d.env
	}
	// Not by a connection that breaks off: git's own backend for HTTP then waits for
	// the rest for ever.
	var stalled atomic.Bool
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && stalled.Load() {
			<-over
			return
		}
		g.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	return func() { stalled.Store(true) }, func() { stalled.Store(false) }, server.URL + "/one.git", nil
}

// TestServersThatFailLater answers the references well, and then breaks.
func TestServersThatFailLater(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0")})
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"500": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "\x1b[2Joops", 500) }, "the server answered 500"},
		"leads to a file": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusTemporaryRedirect)
		}, "redirect"},
		"a web page": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "git's protocol"},
		"nothing":    {func(http.ResponseWriter, *http.Request) {}, ""},
		"a pack that is cut": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("0008NAK\n0010\x01PACK\x00\x00\x00\x02"))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var fail atomic.Bool
			fail.Store(true)
			good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if fail.Load() && r.Method == http.MethodPost {
					test.answer(w, r)
					return
				}
				g.Handler().ServeHTTP(w, r)
			}))
			t.Cleanup(good.Close)
			cache := filepath.Join(t.TempDir(), "cache")
			s := newStore(t, store.Options{CacheDir: cache})
			_, _, _, err := s.Resolve(t.Context(), good.URL+"/one.git", store.Scope{Root: t.TempDir()})
			if !fixture.Is[*git.UnreachableError](err) || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("%T %v", err, err)
			}
			t.Log(err)
			if n := templatesIn(t, cache); n != 0 {
				t.Errorf("the cache has %d templates", n)
			}
			fail.Store(false)
			_, _, _, err = s.Resolve(t.Context(), good.URL+"/one.git", store.Scope{Root: t.TempDir()})
			fixture.Must(t, err)
		})
	}
}
