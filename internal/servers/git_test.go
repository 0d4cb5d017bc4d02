package servers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// twoCommits are made in every test of this file; their hashes are the same on
// every machine, as long as no line of them changes.
func twoCommits() []Commit {
	return []Commit{
		{Files: "first\n-- README.md --\none\n-- bin/run!x --\n#!/bin/sh\n-- link!l --\nREADME.md\n", Tag: "v1.0.0"},
		{Files: "second\n-- README.md --\ntwo\n"},
	}
}

func TestGitServesCommits(t *testing.T) {
	t.Parallel()
	certs, err := MakeCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		opts     GitOptions
		user     string // put into the URL
		wantFail bool
	}{
		{name: "open to everybody"},
		{name: "with TLS", opts: GitOptions{TLS: certs}},
		{name: "with the password", opts: GitOptions{User: "ann", Password: "secret"}, user: "ann:secret@"},
		{name: "with a wrong password", opts: GitOptions{User: "ann", Password: "secret"}, user: "ann:wrong@", wantFail: true},
		{name: "without the password", opts: GitOptions{User: "ann", Password: "secret"}, wantFail: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := GitFor(t, tt.opts)
			hashes, err := g.Commit(t.Context(), "repo", twoCommits()...)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"9dbc225aa75285ae1fe2d8bc9bec669227a6fff4", "67046a9c794dbffe728ac27425e81cfa84147f49"}
			if diff := cmp.Diff(want, hashes); diff != "" {
				t.Errorf("hashes (-want +got):\n%s", diff)
			}
			dir := filepath.Join(t.TempDir(), "clone")
			url := strings.Replace(g.RepoURL("repo"), "://", "://"+tt.user, 1)
			out, err := runGit(t, "-c", "http.sslCAInfo="+certs.CA, "clone", "-q", url, dir)
			if tt.wantFail {
				if err == nil {
					t.Fatal("cloning went well")
				}
				return
			}
			if err != nil {
				t.Fatalf("cloning: %v\n%s", err, out)
			}
			if out, err := runGit(t, "-C", dir, "checkout", "-q", "v1.0.0"); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			checkFirstCommit(t, dir)
		})
	}
}

func checkFirstCommit(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "link"))
	if err != nil || string(text) != "one\n" {
		t.Errorf("link leads to %q, %v", text, err)
	}
	info, err := os.Stat(filepath.Join(dir, "bin", "run"))
	if err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("bin/run is not executable: %v, %v", info, err)
	}
}

func TestGitTakesAPush(t *testing.T) {
	t.Parallel()
	g := GitFor(t, GitOptions{User: "ann", Password: "secret"})
	if _, err := g.Commit(t.Context(), "repo", twoCommits()...); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "clone")
	url := strings.Replace(g.RepoURL("repo"), "://", "://ann:secret@", 1)
	for _, args := range [][]string{
		{"clone", "-q", url, dir},
		{"-C", dir, "commit", "-q", "--allow-empty", "-m", "third"},
		{"-C", dir, "push", "-q", "origin", "HEAD:main"},
	} {
		if out, err := runGit(t, args...); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	out, err := runGit(t, "--git-dir", filepath.Join(g.Dir, "repo.git"), "rev-list", "--count", "main")
	if err != nil || strings.TrimSpace(out) != "3" {
		t.Errorf("the server has %s commits, want 3: %v", out, err)
	}
}

func TestGitDaemon(t *testing.T) {
	t.Parallel()
	g := GitFor(t, GitOptions{})
	hashes, err := g.Commit(t.Context(), "repo", twoCommits()...)
	if err != nil {
		t.Fatal(err)
	}
	address, err := g.Daemon(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := runGit(t, "ls-remote", address+"/repo.git", "refs/heads/main")
	if err != nil || !strings.HasPrefix(out, hashes[1]) {
		t.Errorf("got %q, want %s: %v", out, hashes[1], err)
	}
}

// runGit runs git as a user with no configuration and nobody to ask.
func runGit(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = append(gitEnv(t.TempDir()), "PATH="+os.Getenv("PATH"), "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
