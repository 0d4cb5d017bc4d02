package store_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/store"
	"fnb/store/git"
	"fnb/store/publish"
)

// sshHome makes a home folder whose known_hosts has the lines and returns its
// environment.
func sshHome(t *testing.T, known, socket string) map[string]string {
	t.Helper()
	home := t.TempDir()
	fixture.Must(t, os.Mkdir(filepath.Join(home, ".ssh"), 0o700))
	fixture.Must(t, os.WriteFile(filepath.Join(home, ".ssh", "known_hosts"), []byte(known), 0o600))
	return map[string]string{"HOME": home, "SSH_AUTH_SOCK": socket}
}

func sshAgent(t *testing.T, s *servers.SSH, keys ...ed25519.PrivateKey) string {
	t.Helper()
	socket, err := s.Agent(t.Context(), keys...)
	fixture.Must(t, err)
	return socket
}

func newKey(t *testing.T) (ssh.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	fixture.Must(t, err)
	key, err := ssh.NewPublicKey(public)
	fixture.Must(t, err)
	return key, private
}

func TestResolveSSH(t *testing.T) {
	t.Parallel()
	server, g := servers.SSHFor(t), gitServer(t, servers.GitOptions{})
	h := commit(t, g, "one",
		servers.Commit{Files: tree("template/acme=1.0.0"), Tag: "v1.0.0"},
		servers.Commit{Files: tree("template/acme=2.0.0")},
	)
	url := server.URL(filepath.Join(g.Dir, "one.git"))
	right := sshAgent(t, server, server.Key)
	var many []ed25519.PrivateKey
	for range 3 {
		_, key := newKey(t)
		many = append(many, key)
	}
	all := server.KnownHosts(server.HostKeys...)
	listed := sshHome(t, "", right)
	listed["SSH_KNOWN_HOSTS"] = filepath.Join(t.TempDir(), "hosts")
	fixture.Must(t, os.WriteFile(listed["SSH_KNOWN_HOSTS"], []byte(all), 0o600))
	for name, env := range map[string]map[string]string{
		"known_hosts with all keys":     sshHome(t, all, right),
		"known_hosts with RSA only":     sshHome(t, server.KnownHosts(server.HostKeys[0]), right),
		"known_hosts with Ed25519 only": sshHome(t, server.KnownHosts(server.HostKeys[1]), right),
		"SSH_KNOWN_HOSTS":               listed,
		"the fourth key":                sshHome(t, all, sshAgent(t, server, append(many, server.Key)...)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, store.Options{Getenv: func(name string) string { return env[name] }})
			for ref, want := range map[string]string{
				url + "//template/acme#v1.0.0": h[0],
				url + "//template/acme#main":   h[1],
				url + "#" + h[0]:               h[0],
			} {
				_, pin, _, err := s.Resolve(t.Context(), ref, store.Scope{Root: t.TempDir()})
				if err != nil || pin.Commit != want {
					t.Errorf("%s: %+v, %v", ref, pin, err)
				}
			}
		})
	}
	t.Cleanup(func() {
		// TestSSHRefuses relies on these words of the server's log.
		if !strings.Contains(server.Log(), "Starting session") {
			t.Errorf("nobody got in:\n%s", server.Log())
		}
	})
	t.Run("a repository that is not there", func(t *testing.T) {
		t.Parallel()
		env := sshHome(t, all, right)
		s := newStore(t, store.Options{Getenv: func(name string) string { return env[name] }})
		_, _, _, err := s.Resolve(t.Context(), server.URL(filepath.Join(g.Dir, "two.git")), store.Scope{Root: t.TempDir()})
		if !fixture.Is[*store.NotFoundError](err) {
			t.Errorf("%T: %v", err, err)
		}
	})
}

func TestSSHRefuses(t *testing.T) {
	t.Parallel()
	server, g := servers.SSHFor(t), gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0"), Tag: "v1.0.0"})
	right := sshAgent(t, server, server.Key)
	otherHost, stranger := newKey(t)
	var crowd []ed25519.PrivateKey
	for range 10 { // more than a server tries
		_, key := newKey(t)
		crowd = append(crowd, key)
	}
	known := server.KnownHosts(server.HostKeys...)
	marked := "@revoked " + server.KnownHosts(server.HostKeys[1]) + server.KnownHosts(server.HostKeys[1])
	noFile := sshHome(t, "", right)
	fixture.Must(t, os.RemoveAll(filepath.Join(noFile["HOME"], ".ssh")))
	host := func(problem string) func(error) bool {
		return func(err error) bool {
			e, ok := errors.AsType[*git.HostKeyError](err)
			return ok && e.Host == server.Addr && strings.Contains(err.Error(), problem) && strings.Contains(err.Error(), "SHA256:")
		}
	}
	auth := func(sent bool, problem string) func(error) bool {
		return func(err error) bool {
			e, ok := errors.AsType[*git.AuthError](err)
			return ok && e.Host == server.Addr && e.SSH && e.Sent == sent && strings.Contains(err.Error(), problem)
		}
	}
	for name, test := range map[string]struct {
		env  map[string]string
		want func(error) bool
	}{
		"an unknown host":          {sshHome(t, "", right), host("is not in known_hosts")},
		"no known_hosts":           {noFile, host("is not in known_hosts")},
		"a changed host key":       {sshHome(t, server.KnownHosts(otherHost), right), host("is not the one in known_hosts")},
		"a revoked host key":       {sshHome(t, marked, right), host("is marked as revoked")},
		"no agent":                 {sshHome(t, known, ""), auth(false, "ssh-agent has none")},
		"no key in the agent":      {sshHome(t, known, sshAgent(t, server)), auth(false, "ssh-agent has none")},
		"a wrong key":              {sshHome(t, known, sshAgent(t, server, stranger)), auth(true, "refused the keys")},
		"more wrong keys":          {sshHome(t, known, sshAgent(t, server, crowd...)), auth(true, "refused the keys")},
		"an agent that has ended":  {sshHome(t, known, filepath.Join(t.TempDir(), "gone")), auth(false, "ssh-agent does not answer")},
		"an unknown host, no keys": {sshHome(t, "", ""), host("is not in known_hosts")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "cache")
			s := newStore(t, store.Options{CacheDir: dir, Getenv: func(name string) string { return test.env[name] }})
			ref := server.URL(filepath.Join(g.Dir, "one.git")) + "//template/acme#v1.0.0"
			_, _, _, err := s.Resolve(t.Context(), ref, store.Scope{Root: t.TempDir()})
			if err == nil || !test.want(err) {
				t.Fatalf("%T: %v", err, err)
			}
			for _, secret := range []string{test.env["HOME"], "gone", "socket", "AAAA", "PRIVATE"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%v: has %q", err, secret)
				}
			}
			if got := templatesIn(t, dir); got != 0 {
				t.Errorf("%d templates in the cache", got)
			}
		})
	}
	t.Cleanup(func() {
		// What the server has seen, not only what was kept here.
		if strings.Contains(server.Log(), "Starting session") {
			t.Errorf("somebody got in:\n%s", server.Log())
		}
	})
}

// templatesIn counts the templates below a folder, at whatever place.
func templatesIn(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "template.yml" {
			n++
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return n
}

// TestSSHStalls speaks to a server that takes the connection and says nothing.
func TestSSHStalls(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	fixture.Must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	s := newStore(t, store.Options{Timeout: 200 * time.Millisecond})
	_, _, _, err = s.Resolve(t.Context(), "ssh://git@"+l.Addr().String()+"/one.git", store.Scope{Root: t.TempDir()})
	if !fixture.Is[*git.UnreachableError](err) || !strings.Contains(err.Error(), "said nothing") {
		t.Errorf("%T: %v", err, err)
	}
}

// TestPublishBySSH publishes to a store, and from a repository, that are behind an
// OpenSSH server: by two at the same time, with a key that it does not know, and past a
// hook that says no.
func TestPublishBySSH(t *testing.T) {
	t.Parallel()
	server, g := servers.SSHFor(t), gitServer(t, servers.GitOptions{})
	commit(t, g, "store", servers.Commit{Files: "-- store.json --\n{\"v\": 1}\n"})
	bare := filepath.Join(g.Dir, "store.git")
	dir := versionless(t, g, "one", "x")
	at := func(repo string) string { return server.URL(filepath.Join(g.Dir, repo+".git")) }
	_, stranger := newKey(t)
	known := server.KnownHosts(server.HostKeys...)
	as := func(key ed25519.PrivateKey) *store.Finder {
		env := sshHome(t, known, sshAgent(t, server, key))
		return withStores(t, store.Options{Getenv: func(name string) string {
			if v := author(name); v != "" {
				return v
			}
			return env[name]
		}})
	}
	add := func(s *store.Finder) *store.Finder {
		_, _, err := s.AddStore(t.Context(), "main", at("store"), nil)
		fixture.Must(t, err)
		return s
	}
	p := publish.Publication{Dir: dir, Store: "main", Name: "acme/echo", Version: "1.0.0", Source: at("one")}
	var wg sync.WaitGroup
	for w := range 2 {
		s := add(as(server.Key))
		wg.Go(func() {
			for i := range 3 {
				p := p
				p.Version = fmt.Sprintf("%d.%d.0", w, i)
				if out, err := publish.Template(t.Context(), s, p); err != nil || out.Already {
					t.Errorf("%s: %+v %v", p.Version, out, err)
				}
			}
		})
	}
	wg.Wait()
	s := add(as(server.Key))
	if versions, err := s.Versions(t.Context(), "acme/echo"); err != nil || len(versions) != 6 {
		t.Errorf("%+v %v", versions, err)
	}
	if _, pin, _, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()}); err != nil || pin.Version != "1.2.0" {
		t.Errorf("%+v %v", pin, err)
	}
	p.Version, p.Propose = "2.0.0", true
	if out, err := publish.Template(t.Context(), s, p); err != nil || out.Branch != "publish/template/acme/echo/2.0.0" {
		t.Errorf("proposed: %+v %v", out, err)
	}
	p.Propose = false

	other := as(stranger)
	other.Opts().StoresFile = s.Opts().StoresFile
	if _, err := publish.Template(t.Context(), other, p); !fixture.Is[*git.AuthError](err) {
		t.Errorf("a key that the server does not know: %v", err)
	}
	fixture.Must(t, os.WriteFile(filepath.Join(bare, "hooks", "pre-receive"), []byte("#!/bin/sh\necho not you >&2\nexit 1\n"), 0o755))
	if _, err := publish.Template(t.Context(), s, p); !fixture.Is[*git.DeclinedError](err) || !strings.Contains(err.Error(), "hook declined") {
		t.Errorf("a hook: %v", err)
	}
	fixture.Must(t, os.Remove(filepath.Join(bare, "hooks", "pre-receive")))
	_, err := publish.Template(t.Context(), s, p)
	fixture.Must(t, err)
	runGit(t, bare, "fsck", "--strict")
	if n := runGit(t, bare, "rev-list", "--count", "main"); n != "8" {
		t.Errorf("%s commits", n)
	}
}
