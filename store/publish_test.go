package store_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
	"fnb/store"
	"fnb/store/git"
	"fnb/store/publish"
	"fnb/store/records"
)

// clone makes a working copy of a repository.
func clone(t *testing.T, url string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	runGit(t, "", "clone", "-q", url, dir)
	return dir
}

func runGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// author is an environment in which git knows who somebody is.
func author(name string) string {
	switch name {
	case "GIT_AUTHOR_NAME":
		return "Ann"
	case "GIT_AUTHOR_EMAIL":
		return "ann@example.com"
	}
	return ""
}

// publisher is a store that has the store main, which is at url.
func publisher(t *testing.T, url string) *store.Finder {
	t.Helper()
	s := withStores(t, store.Options{Getenv: author})
	_, _, err := s.AddStore(t.Context(), "main", url, nil)
	fixture.Must(t, err)
	return s
}

// versionless is a repository with a template that has no version of its own.
func versionless(t *testing.T, g *servers.Git, repo, text string) string {
	t.Helper()
	commit(t, g, repo, servers.Commit{Files: tree("template/acme=") + "-- template/acme/README.md --\n" + text + "\n", Tag: "v1.0.0"})
	return filepath.Join(clone(t, g.RepoURL(repo)), "template", "acme")
}

func TestPublish(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "store", servers.Commit{Files: "-- store.json --\n{\"v\": 1, \"mirrors\": 1}\n-- README.md --\nours\n"})
	dir := versionless(t, g, "one", "x")
	s := publisher(t, g.RepoURL("store"))
	p := publish.Publication{Dir: dir, Store: "main", Name: "acme/echo", Version: "1.0.0", Tags: []string{"parrot"}}
	for i, already := range []bool{false, true} {
		out, err := publish.Template(t.Context(), s, p)
		fixture.Must(t, err)
		if out.Already != already || out.Tries != 1 || (len(out.Commit) == 40) == already {
			t.Errorf("%d: %+v", i, out)
		}
	}
	// Another content under the same version, first not committed, then not pushed.
	fixture.Must(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte("other\n"), 0o644))
	if _, err := publish.Template(t.Context(), s, p); err == nil || !strings.Contains(err.Error(), "commit and push") {
		t.Errorf("files that are not committed: %v", err)
	}
	runGit(t, dir, "commit", "-qam", "other")
	if _, err := publish.Template(t.Context(), s, p); err == nil || !strings.Contains(err.Error(), "commit and push") {
		t.Errorf("a commit that is not pushed: %v", err)
	}
	runGit(t, dir, "push", "-q", "origin", "HEAD")
	if _, err := publish.Template(t.Context(), s, p); !fixture.Is[*publish.ConflictError](err) {
		t.Errorf("the same version with another content: %v", err)
	}
	p.Version, p.Propose = "1.1.0", true
	out, err := publish.Template(t.Context(), s, p)
	fixture.Must(t, err)
	if want := strings.TrimSuffix(g.RepoURL("store"), ".git") + "/compare/main...publish/template/acme/echo/1.1.0"; out.Compare != want {
		t.Errorf("compare at %s, want %s", out.Compare, want)
	}
	copied := clone(t, g.RepoURL("store"))
	got := strings.Fields(runGit(t, copied, "ls-files"))
	want := []string{"README.md", "namespaces/acme.json", "store.json", "templates/acme/echo/package.json", "templates/acme/echo/v/1.0.0.json"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if files := strings.Fields(runGit(t, copied, "ls-tree", "-r", "--name-only", "origin/publish/template/acme/echo/1.1.0")); len(files) != len(want)+1 {
		t.Errorf("proposed: %v", files)
	}
	data, err := os.ReadFile(filepath.Join(copied, "templates/acme/echo/v/1.0.0.json"))
	fixture.Must(t, err)
	rec, err := schema.ParseRecord("x", data)
	if err != nil || rec.Source.Git.Ref != "refs/tags/v1.0.0" || rec.Source.Git.Path != "template/acme" || rec.Parts.Handler.Dir != "function" {
		t.Errorf("%+v %v", rec, err)
	}
	runGit(t, copied, "fsck", "--strict")

	// It is found at once, and not any more when it is withdrawn.
	_, pin, _, err := s.Resolve(t.Context(), "acme/echo", store.Scope{Root: t.TempDir()})
	if err != nil || pin.Version != "1.0.0" {
		t.Errorf("%+v %v", pin, err)
	}
	for range 2 {
		_, err = publish.Yank(t.Context(), s, schema.KindTemplate, "acme/echo@1.0.0", schema.Yank{Reason: "loud", Severity: "broken"}, publish.Signing{})
		fixture.Must(t, err)
	}
	if _, _, _, err := s.Resolve(t.Context(), "acme/echo@1.0.0", store.Scope{Root: t.TempDir()}); !fixture.Is[*store.YankedError](err) {
		t.Errorf("withdrawn: %v", err)
	}
	if _, err := publish.Yank(t.Context(), s, schema.KindTemplate, "acme/echo@3.0.0", schema.Yank{Reason: "loud"}, publish.Signing{}); !store.IsMissing(err) {
		t.Errorf("withdrawing what is not there: %v", err)
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "store", servers.Commit{Files: "-- store.json --\n{\"v\": 1}\n"})
	dir := versionless(t, g, "one", "x")
	s := publisher(t, g.RepoURL("store"))
	bad := versionless(t, g, "bad", "x")
	fixture.Must(t, os.Remove(filepath.Join(bad, "Dockerfile")))
	alone := t.TempDir()
	writeTemplate(t, alone, "1.0.0")
	for name, p := range map[string]publish.Publication{
		"NoStoreError":     {Dir: dir, Store: "other", Name: "acme/x", Version: "1.0.0"},
		"not NAMESPACE":    {Dir: dir, Store: "main", Name: "x", Version: "1.0.0"},
		"reserved":         {Dir: dir, Store: "main", Name: "official/x", Version: "1.0.0"},
		"one namespace":    {Dir: dir, Store: "main", Version: "1.0.0"},
		"has no version":   {Dir: dir, Store: "main", Name: "acme/x"},
		"build metadata":   {Dir: dir, Store: "main", Name: "acme/x", Version: "1.0.0+1"},
		"no git":           {Dir: alone, Store: "main", Name: "acme/x", Version: "1.0.0"},
		"says 1.0.0":       {Dir: alone, Store: "main", Name: "acme/x", Version: "1.0.1"},
		"Dockerfile":       {Dir: bad, Store: "main", Name: "acme/x", Version: "1.0.0"},
		"no such file":     {Dir: filepath.Join(dir, "no"), Store: "main", Name: "acme/x", Version: "1.0.0"},
		"folder of this":   {Dir: dir, Store: "main", Name: "acme/x", Version: "1.0.0", Source: "/srv/x.git"},
		"not a SemVer":     {Dir: dir, Store: "main", Name: "acme/x", Version: "1.0.0", FNB: "new"},
		"no such reposito": {Dir: dir, Store: "main", Name: "acme/x", Version: "1.0.0", Source: g.RepoURL("gone")},
	} {
		_, err := publish.Template(t.Context(), s, p)
		if err == nil || !strings.Contains(fmt.Sprintf("%T %v", err, err), name) {
			t.Errorf("%s: %T %v", name, err, err)
		}
	}
}

func TestPublishToFolderAndFile(t *testing.T) {
	t.Parallel()
	const writers = 5
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "store", servers.Commit{Files: "-- store.json --\n{\"v\": 1}\n"})
	dir := versionless(t, g, "one", "x")
	folder := t.TempDir()
	fixture.Must(t, os.WriteFile(filepath.Join(folder, "store.json"), []byte(`{"v": 1}`), 0o644))
	for _, url := range []string{folder, "file://" + filepath.Join(g.Dir, "store.git")} {
		s := publisher(t, url)
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				if _, err := publish.Template(t.Context(), s, publish.Publication{Dir: dir, Store: "main", Name: "acme/echo", Version: fmt.Sprintf("1.%d.0", i)}); err != nil {
					t.Errorf("%s: %v", url, err)
				}
			})
		}
		wg.Wait()
		versions, err := s.Versions(t.Context(), "acme/echo")
		if err != nil || len(versions) != writers {
			t.Errorf("%s: %+v %v", url, versions, err)
		}
	}
}

// TestPublishBesideGit has git itself push to the repository in a folder that fnb
// publishes to: each takes turns with the other, and neither ever reads half a
// reference.
func TestPublishBesideGit(t *testing.T) {
	t.Parallel()
	const each = 6
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "store", servers.Commit{Files: "-- store.json --\n{\"v\": 1}\n"})
	bare := filepath.Join(g.Dir, "store.git")
	runGit(t, bare, "pack-refs", "--all") // the branch has no file of its own at first
	dir := versionless(t, g, "one", "x")
	s, theirs := publisher(t, "file://"+bare), clone(t, g.RepoURL("store"))
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range each {
			runGit(t, theirs, "commit", "-q", "--allow-empty", "-m", fmt.Sprint(i))
			runGit(t, theirs, "push", "-q", "origin", fmt.Sprintf("HEAD:refs/heads/side-%d", i))
			runGit(t, bare, "update-ref", fmt.Sprintf("refs/tags/t%d", i), "HEAD")
		}
	})
	wg.Go(func() {
		for range 20 * each {
			runGit(t, bare, "rev-parse", "--verify", "-q", "refs/heads/main")
		}
	})
	for i := range each {
		if _, err := publish.Template(t.Context(), s, publish.Publication{Dir: dir, Store: "main", Name: "acme/echo", Version: fmt.Sprintf("1.%d.0", i)}); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if n := runGit(t, bare, "rev-list", "--count", "main"); n != fmt.Sprint(each+1) {
		t.Errorf("%s commits", n)
	}
	runGit(t, bare, "fsck", "--strict")

	// Whoever holds git's lock is waited for, and then said.
	lock := filepath.Join(bare, "refs", "heads", "main.lock")
	fixture.Must(t, os.WriteFile(lock, nil, 0o600))
	p := publish.Publication{Dir: dir, Store: "main", Name: "acme/echo", Version: "2.0.0"}
	if _, err := publish.Template(t.Context(), s, p); err == nil || !strings.Contains(err.Error(), "somebody has left "+lock) {
		t.Errorf("a lock that nobody takes away: %v", err)
	}
	fixture.Must(t, os.Remove(lock))
	_, err := publish.Template(t.Context(), s, p)
	fixture.Must(t, err)
}

// TestPublishAtTheSameTime has eight writers publish ten versions of templates each,
// and then of functions: half of them into one package, half into packages of their
// own.
func TestPublishAtTheSameTime(t *testing.T) {
	t.Parallel()
	t.Run("templates", func(t *testing.T) {
		t.Parallel()
		g := gitServer(t, servers.GitOptions{})
		var dirs []string
		for w := range manyWriters {
			dirs = append(dirs, versionless(t, g, fmt.Sprintf("w%d", w), fmt.Sprint(w)))
		}
		publishMany(t, g, schema.KindTemplate, func(s *store.Finder, w int, name, version string) (publish.Published, error) {
			return publish.Template(t.Context(), s, publish.Publication{Dir: dirs[w], Store: "main", Name: name, Version: version})
		})
	})
	t.Run("functions", func(t *testing.T) {
		t.Parallel()
		publishMany(t, gitServer(t, servers.GitOptions{}), schema.KindFunction, func(s *store.Finder, w int, name, version string) (publish.Published, error) {
			digest := fmt.Sprintf("sha256:%064x", w+1)
			d, err := publish.Draft(t.Context(), s, publish.FunctionPublication{Store: "main", Name: name, Version: version, Image: schema.RecordImage{
				Ref: "registry.example.com/" + name + ":" + version, Digest: digest,
				Platforms: map[string]schema.PlatformImage{"linux/amd64": {Digest: digest, Size: 1}},
			}})
			if err != nil {
				return publish.Published{}, err
			}
			return d.Publish(t.Context())
		})
	})
}

const manyWriters = 8

// publishMany has many writers publish to one store at the same time, by publish: the
// versions of each, and one version that all have, each with another content.
func publishMany(t *testing.T, g *servers.Git, kind string, put func(s *store.Finder, writer int, name, version string) (publish.Published, error)) {
	t.Helper()
	const each = 10
	commit(t, g, "store", servers.Commit{Files: "-- store.json --\n{\"v\": 1}\n"})
	var wg sync.WaitGroup
	var conflicts, worst atomic.Int64
	for w := range manyWriters {
		s := publisher(t, g.RepoURL("store"))
		wg.Go(func() {
			for i := range each {
				name := "acme/shared"
				if w%2 == 1 {
					name = fmt.Sprintf("acme/own-%d", w)
				}
				out, err := put(s, w, name, fmt.Sprintf("%d.%d.0", w, i))
				if err != nil || out.Already {
					t.Errorf("writer %d, version %d: %+v %v", w, i, out, err)
				}
				worst.Store(max(worst.Load(), int64(out.Tries)))
			}
			_, err := put(s, w, "acme/race", "1.0.0")
			if _, ok := errors.AsType[*publish.ConflictError](err); ok {
				conflicts.Add(1)
			} else if err != nil {
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	wg.Wait()
	copied := clone(t, g.RepoURL("store"))
	published := 0
	for _, f := range strings.Fields(runGit(t, copied, "ls-files", records.KindDir(kind))) {
		if strings.Contains(f, "/v/") {
			published++
		}
	}
	if want := manyWriters*each + 1; published != want || conflicts.Load() != manyWriters-1 {
		t.Errorf("%d records, want %d; %d conflicts, want %d", published, want, conflicts.Load(), manyWriters-1)
	}
	if n := runGit(t, copied, "rev-list", "--count", "HEAD"); n != fmt.Sprint(manyWriters*each+2) {
		t.Errorf("%s commits", n)
	}
	runGit(t, copied, "fsck", "--strict")
	t.Logf("the most tries of one publish: %d", worst.Load())
}

// TestPublishToPrivateStore has the store ask for a token.
func TestPublishToPrivateStore(t *testing.T) {
	t.Parallel()
	open := gitServer(t, servers.GitOptions{})
	dir := versionless(t, open, "one", "x")
	g := gitServer(t, servers.GitOptions{User: "git", Password: "s3cret"})
	commit(t, g, "store", servers.Commit{Files: "-- store.json --\n{\"v\": 1}\n"})
	token := "s3cret"
	env := func(name string) string {
		if strings.HasPrefix(name, "FNB_GIT_TOKEN_") {
			return token
		}
		return author(name)
	}
	s := withStores(t, store.Options{Getenv: env})
	_, _, err := s.AddStore(t.Context(), "main", g.RepoURL("store"), nil)
	fixture.Must(t, err)
	p := publish.Publication{Dir: dir, Store: "main", Name: "acme/echo", Version: "1.0.0"}
	_, err = publish.Template(t.Context(), s, p)
	fixture.Must(t, err)
	token, p.Version = "wr0ng", "1.1.0"
	if _, err := publish.Template(t.Context(), s, p); !fixture.Is[*git.AuthError](err) || strings.Contains(err.Error(), token) {
		t.Errorf("a wrong token: %v", err)
	}
}
