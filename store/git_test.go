package store_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
	"fnb/store"
	"fnb/store/git"
)

// tree is a txtar archive of a repository with one template for each name=version.
func tree(templates ...string) string {
	var b strings.Builder
	for _, t := range templates {
		dir, version, _ := strings.Cut(t, "=")
		if dir != "" {
			dir += "/"
		}
		fmt.Fprintf(&b, "-- %stemplate.yml --\nlanguage: test\nfprocess: cat\n", dir)
		if version != "" {
			fmt.Fprintf(&b, "version: %s\n", version)
		}
		fmt.Fprintf(&b, "-- %sDockerfile --\nFROM scratch\nCOPY function /\n-- %sfunction/run.sh!x --\necho %s\n", dir, dir, version)
	}
	return b.String()
}

func gitServer(t *testing.T, opts servers.GitOptions) *servers.Git {
	t.Helper()
	return servers.GitFor(t, opts)
}

func commit(t *testing.T, g *servers.Git, name string, commits ...servers.Commit) []string {
	t.Helper()
	hashes, err := g.Commit(t.Context(), name, commits...)
	fixture.Must(t, err)
	return hashes
}

func TestResolveGit(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	h := commit(t, g, "one",
		servers.Commit{Files: tree("template/acme=1.0.0"), Tag: "v1.0.0"},
		servers.Commit{Files: tree("template/acme=1.1.0"), Tag: "v1.1.0"},
		servers.Commit{Files: tree("template/acme=2.0.0"), Tag: "2.0.0"},
		servers.Commit{Files: tree("template/acme=2.1.0-rc.1"), Tag: "v2.1.0-rc.1"},
		servers.Commit{Files: tree("template/acme=3.0.0")},
	)
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=0.1.0"), Branch: "old"})
	commit(t, g, "many", servers.Commit{Files: tree("template/a=1.0.0", "template/b=1.0.0", "deep/er=5.0.0")})
	commit(t, g, "root", servers.Commit{Files: tree("=1.0.0")})
	one := g.RepoURL("one")
	sources := []schema.TemplateSource{{Name: "acme", Source: one}, {Name: "fixed", Source: one + "#v1.1.0"}}
	sources[1].Source = one + "//template/acme#v1.1.0"

	daemon, err := g.Daemon(t.Context())
	fixture.Must(t, err)
	file := "file://" + filepath.Join(g.Dir, "one.git")
	s := newStore(t, store.Options{})
	for ref, want := range map[string]string{
		one:                                "3.0.0 acme",
		one + "#v1.0.0":                    "1.0.0 acme",
		one + "#old":                       "0.1.0 acme",
		one + "#" + h[1]:                   "1.1.0 acme",
		one + "#sha-" + h[2]:               "2.0.0 acme",
		one + "#sha-" + h[2][:8]:           "2.0.0 acme",
		one + "//template/acme":            "3.0.0 acme",
		one + "//template/acme#2.0.0":      "2.0.0 acme",
		g.RepoURL("root"):                  "1.0.0 root",
		g.RepoURL("many") + "//template/b": "1.0.0 b",
		g.RepoURL("many") + "//deep/er":    "5.0.0 er",
		daemon + "/one.git#v1.0.0":         "1.0.0 acme",
		file:                               "3.0.0 acme",
		file + "#old":                      "0.1.0 acme",
		file + "#sha-" + h[0][:7]:          "1.0.0 acme",
		"acme":                             "3.0.0 acme",
		"acme@v1.0.0":                      "1.0.0 acme",
		"acme@1.0.0":                       "1.0.0 acme",
		"acme@^1":                          "1.1.0 acme",
		"acme@1":                           "1.1.0 acme",
		"acme@>=1":                         "2.0.0 acme",
		"acme@^2.1.0-rc":                   "2.1.0-rc.1 acme",
		"acme@old":                         "0.1.0 acme",
		"fixed":                            "1.1.0 fixed",
		"fixed@^1":                         "1.1.0 fixed",
		"fixed@v1.1.0":                     "1.1.0 fixed",
		"fixed@^2":                         "missing",
		"acme@1.0.1":                       "missing",
		"acme@nowhere":                     "missing",
		one + "#nowhere":                   "missing",
		one + "#sha-0123456789":            "missing",
		one + "//template/other":           "missing",
		g.RepoURL("many"):                  "missing",
		g.RepoURL("nothing"):               "missing",
	} {
		tmpl, pin, _, err := s.Resolve(t.Context(), ref, store.Scope{Root: t.TempDir(), Sources: sources})
		got := "missing"
		if err == nil {
			got = tmpl.Manifest.Version + " " + tmpl.Name
			if len(pin.Commit) != 40 || pin.Checksum != tmpl.Checksum || pin.Version != tmpl.Manifest.Version {
				t.Errorf("%s: %+v", ref, pin)
			}
		} else if _, ok := errors.AsType[*store.NotFoundError](err); !ok {
			t.Errorf("%s: %T", ref, err)
		}
		if got != want {
			t.Errorf("%s is %s (%v), want %s", ref, got, err, want)
		}
	}
}

// TestOneTemplateHasOneChecksum resolves the same template from git and from a
// folder.
func TestOneTemplateHasOneChecksum(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0")})
	root := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "git", "clone", "-q", filepath.Join(g.Dir, "one.git"), filepath.Join(root, "clone")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := newStore(t, store.Options{})
	a, _, _, err := s.Resolve(t.Context(), g.RepoURL("one"), store.Scope{Root: root})
	fixture.Must(t, err)
	b, _, _, err := s.Resolve(t.Context(), "./clone/template/acme", store.Scope{Root: root})
	fixture.Must(t, err)
	if a.Checksum != b.Checksum {
		t.Errorf("%s and %s", a.Checksum, b.Checksum)
	}
}

func TestOfflineUsesTheCache(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0"), Tag: "v1.0.0"})
	url := g.RepoURL("one")
	dir := filepath.Join(t.TempDir(), "cache")
	where := store.Scope{Root: t.TempDir(), Sources: []schema.TemplateSource{{Name: "acme", Source: url}}}
	online, offline := newStore(t, store.Options{CacheDir: dir}), newStore(t, store.Options{CacheDir: dir, Offline: true})
	refs := []string{url, url + "#v1.0.0", "acme@^1"}
	for _, ref := range refs {
		_, _, _, err := offline.Resolve(t.Context(), ref, where)
		if _, ok := errors.AsType[*store.OfflineError](err); !ok {
			t.Errorf("%s before: %v", ref, err)
		}
	}
	pins := map[string]schema.Pin{}
	for _, ref := range refs {
		_, pin, _, err := online.Resolve(t.Context(), ref, where)
		fixture.Must(t, err)
		pins[ref] = pin
	}
	for _, ref := range refs {
		_, pin, _, err := offline.Resolve(t.Context(), ref, where)
		if err != nil || pin != pins[ref] {
			t.Errorf("%s after: %+v, %v", ref, pin, err)
		}
	}
	entries, err := offline.List(t.Context(), store.Scope{Root: where.Root, Sources: []schema.TemplateSource{{Name: "acme@^1", Source: url}}})
	if err != nil || entries[0].Missing || entries[0].Version != "1.0.0" {
		t.Errorf("List: %+v, %v", entries, err)
	}
}

func TestBranchMovesUnderAPin(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0")})
	url := g.RepoURL("one")
	where := store.Scope{Root: t.TempDir()}
	dir := filepath.Join(t.TempDir(), "cache")
	_, pin, _, err := newStore(t, store.Options{CacheDir: dir}).Resolve(t.Context(), url, where)
	fixture.Must(t, err)
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=2.0.0")})

	locked := where
	locked.Lock, locked.Frozen = &schema.Lock{Templates: map[string]schema.Pin{url: pin}}, true
	for name, s := range map[string]*store.Finder{
		"the same cache": newStore(t, store.Options{CacheDir: dir}), "offline": newStore(t, store.Options{CacheDir: dir, Offline: true}),
		"an empty cache": newStore(t, store.Options{}),
	} {
		_, got, _, err := s.Resolve(t.Context(), url, locked)
		if err != nil || got != pin {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	_, got, _, err := newStore(t, store.Options{CacheDir: dir}).Resolve(t.Context(), url, where)
	if err != nil || got.Version != "2.0.0" {
		t.Errorf("without a lock: %+v, %v", got, err)
	}
	wrong := pin
	wrong.Checksum = "fnb1:sha256:" + strings.Repeat("0", 64)
	locked.Lock = &schema.Lock{Templates: map[string]schema.Pin{url: wrong}}
	_, _, _, err = newStore(t, store.Options{}).Resolve(t.Context(), url, locked)
	if e, ok := errors.AsType[*store.MismatchError](err); !ok || e.Want != wrong.Checksum || e.Got != pin.Checksum {
		t.Errorf("a lock that says otherwise: %v", err)
	}
	gone := pin
	gone.Commit = strings.Repeat("1", 40)
	locked.Lock = &schema.Lock{Templates: map[string]schema.Pin{url: gone}}
	_, _, _, err = newStore(t, store.Options{}).Resolve(t.Context(), url, locked)
	if _, ok := errors.AsType[*store.NotFoundError](err); !ok {
		t.Errorf("a commit that is gone: %v", err)
	}
}

func TestDamagedCacheIsMended(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0")})
	url := g.RepoURL("one")
	for name, damage := range map[string]func(dir, tmpl string) error{
		"a changed file": func(_, tmpl string) error {
			return os.WriteFile(filepath.Join(tmpl, "Dockerfile"), []byte("FROM evil\n"), 0o600)
		},
		"a missing file": func(_, tmpl string) error { return os.Remove(filepath.Join(tmpl, "template.yml")) },
		"one more file":  func(_, tmpl string) error { return os.WriteFile(filepath.Join(tmpl, "more"), nil, 0o600) },
		"a link": func(_, tmpl string) error {
			return os.Symlink("/etc/passwd", filepath.Join(tmpl, "function", "link"))
		},
		"records that are no JSON": func(dir, _ string) error {
			records, err := filepath.Glob(filepath.Join(dir, "repos", "*.json"))
			if err != nil {
				return err
			}
			return os.WriteFile(records[0], []byte("{"), 0o600)
		},
		"no cache any more": func(dir, _ string) error { return os.RemoveAll(dir) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "cache")
			s := newStore(t, store.Options{CacheDir: dir})
			_, pin, _, err := s.Resolve(t.Context(), url, store.Scope{Root: t.TempDir()})
			fixture.Must(t, err)
			fixture.Must(t, damage(dir, filepath.Join(dir, "templates", strings.TrimPrefix(pin.Checksum, "fnb1:sha256:"))))
			lock := &schema.Lock{Templates: map[string]schema.Pin{url: pin}}
			_, again, _, err := s.Resolve(t.Context(), url, store.Scope{Root: t.TempDir(), Lock: lock})
			if err != nil || again != pin {
				t.Errorf("%+v, %v", again, err)
			}
		})
	}
}

func TestManyResolveAtOnce(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0"), Tag: "v1"}, servers.Commit{Files: tree("template/acme=2.0.0"), Tag: "v2"})
	dir := filepath.Join(t.TempDir(), "cache")
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			s := newStore(t, store.Options{CacheDir: dir})
			tmpl, _, _, err := s.Resolve(t.Context(), fmt.Sprintf("%s#v%d", g.RepoURL("one"), 1+i%2), store.Scope{Root: t.TempDir()})
			if err != nil || tmpl.Manifest.Version != fmt.Sprintf("%d.0.0", 1+i%2) {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	left, err := os.ReadDir(filepath.Join(dir, "unfinished"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestResolveProcess is not a test of its own: it is the program that
// TestKilledProcess starts.
func TestResolveProcess(t *testing.T) {
	dir := os.Getenv("FNB_TEST_CACHE")
	if dir == "" {
		t.Skip("run by other tests")
	}
	for range 1000 {
		s := newStore(t, store.Options{CacheDir: dir})
		_, _, _, err := s.Resolve(t.Context(), os.Getenv("FNB_TEST_REF"), store.Scope{Root: t.TempDir()})
		fixture.Must(t, err)
		fixture.Must(t, os.RemoveAll(filepath.Join(dir, "templates")))
	}
}

func TestKilledProcess(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0")})
	dir := filepath.Join(t.TempDir(), "cache")
	for round := range 6 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestResolveProcess$")
		cmd.Env = append(os.Environ(), "FNB_TEST_CACHE="+dir, "TMPDIR="+t.TempDir(), "FNB_TEST_REF="+g.RepoURL("one"))
		fixture.Must(t, cmd.Start())
		time.Sleep(time.Duration(100+45*round) * time.Millisecond)
		fixture.Must(t, cmd.Process.Kill())
		// It was killed; how it ended is known.
		_ = cmd.Wait()
		tmpl, _, _, err := newStore(t, store.Options{CacheDir: dir}).Resolve(t.Context(), g.RepoURL("one"), store.Scope{Root: t.TempDir()})
		if err != nil || tmpl.Manifest.Version != "1.0.0" {
			t.Fatal(err)
		}
	}
}

func TestPrivateRepository(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{User: "ada", Password: "s3cret"})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0")})
	host := strings.TrimPrefix(g.URL, "http://")
	variable := "FNB_GIT_TOKEN_" + strings.NewReplacer(".", "_", ":", "_").Replace(host)
	home := t.TempDir()
	fixture.Must(t, os.WriteFile(filepath.Join(home, "netrc"), []byte("machine other login x password y\nmachine 127.0.0.1\n  login ada\n  password s3cret\n"), 0o600))
	helperHome := t.TempDir()
	fixture.Must(t, os.WriteFile(filepath.Join(helperHome, ".gitconfig"), []byte("[credential]\n\thelper = \"!f() { test $1 = get && printf 'username=ada\\\\npassword=s3cret\\\\n'; }; f\"\n"), 0o600))
	for _, test := range []struct {
		name string
		env  map[string]string
		ok   bool
		sent bool
	}{
		{"without", map[string]string{"HOME": t.TempDir()}, false, false},
		{"a token", map[string]string{"HOME": t.TempDir(), variable: "ada:s3cret"}, true, true},
		{"a wrong token", map[string]string{"HOME": t.TempDir(), variable: "ada:wr0ng"}, false, true},
		{"a token for another host", map[string]string{"HOME": t.TempDir(), "GITHUB_TOKEN": "s3cret"}, false, false},
		{"netrc", map[string]string{"HOME": t.TempDir(), "NETRC": filepath.Join(home, "netrc")}, true, true},
		{"a credential helper", map[string]string{"HOME": helperHome}, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, store.Options{Getenv: func(name string) string { return test.env[name] }})
			_, pin, _, err := s.Resolve(t.Context(), g.RepoURL("one"), store.Scope{Root: t.TempDir()})
			if (err == nil) != test.ok {
				t.Fatalf("%v", err)
			}
			if test.ok {
				if strings.Contains(pin.Store, "s3cret") {
					t.Errorf("%+v", pin)
				}
				return
			}
			e, ok := errors.AsType[*git.AuthError](err)
			if !ok || e.Host != host || e.Sent != test.sent || strings.Contains(err.Error(), "wr0ng") {
				t.Errorf("%#v", err)
			}
		})
	}
}
