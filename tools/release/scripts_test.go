package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repositoryOf is a git repository with some files and a program of tools. What it returns runs a command there.
func repositoryOf(t *testing.T, program string, files map[string]string) (dir string, run func(name string, args ...string) (string, error)) {
	t.Helper()
	dir = t.TempDir()
	text := read(t, filepath.Join("..", program))
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "tools", program)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o700)); err != nil {
		t.Fatal(err)
	}
	run = func(name string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
			"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"commit", "--quiet", "--message", "first"}} {
		if out, err := run("git", args...); err != nil {
			t.Fatal(out)
		}
	}
	return dir, run
}

// TestRenameModule gives a module another path, and then a third one.
func TestRenameModule(t *testing.T) {
	t.Parallel()
	files := func(path, page, owner string) map[string]string {
		return map[string]string{
			"go.mod":                  "module " + path + "\n\ngo 1.26.8\n",
			"tools/x/go.mod":          "module " + path + "/tools/x\n",
			"handlers/go.mod":         "module handler\n",
			"cmd/fnb/main.go":         "package main\n\nimport \"" + path + "/store\"\n\nconst agent, folder = \"fnb/\", \"fnb/data\"\n",
			"store/store.go":          "package store\n\nimport _ \"" + path + "/store/git\"\n",
			"internal/house/rooms.go": "package house\n\nconst Module = \"" + path + "/\"\n",
			".golangci.yml":           "allow: [" + path + "/store, " + path + "/origin]\n- { pkg: " + path + ", desc: \"nothing of fnb\" }\nmodule-path: " + path + "\nlocal-prefixes: [" + path + "]\n",
			"README.md":               "releases of " + page + ", which is " + owner + "'s, and fnb/data\n",
			"docs/releasing.md":       "go install " + page + "/cmd/fnb\n",
			"script.sh":               "base=https://" + page + "/releases/download\n",
		}
	}
	dir, run := repositoryOf(t, "rename-module", files("fnb", "github.com/OWNER/fnb", "OWNER"))
	for _, path := range []string{"github.com/acme/fnb", "codeberg.org/other.people/fnb.v2"} {
		if out, err := run("tools/rename-module", path); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for name, want := range files(path, path, "acme") {
			if got := string(read(t, filepath.Join(dir, name))); got != want {
				t.Errorf("%s: %s is\n%swant\n%s", path, name, got, want)
			}
		}
	}
	for _, args := range [][]string{nil, {"fnb"}, {"https://github.com/acme/fnb"}, {"github.com/acme"}, {"github.com/acme/fnb", "x"}, {"github.com/a b/fnb"}, {"github.com/acme/f#nb"},
		{"github.com/acme/fnb."}, {"-x.y/a/b"}, {"x-.y/a/b"}, {"x.y/a..b/c"}, {"x..y/a/b"}, {"x.y/.a/b"}, {"github.com/acme/fnb/v1"}, {"github.com/acme/fnb/v2"}} {
		var exit *exec.ExitError
		if out, err := run("tools/rename-module", args...); !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(out, "such as: tools/rename-module github.com/acme/fnb") {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}

// TestReleaseCommit tags a commit that has the watchdog's layers, which no branch has.
func TestReleaseCommit(t *testing.T) {
	t.Parallel()
	_, run := repositoryOf(t, "release-commit", map[string]string{
		".gitignore": "/packaging/watchdog/blobs/\n", "packaging/watchdog/README.md": "layers\n",
		"Makefile": "watchdog:\n\tmkdir -p packaging/watchdog/blobs && echo layer >packaging/watchdog/blobs/one\n",
	})
	want := func(text, name string, args ...string) {
		t.Helper()
		if out, err := run(name, args...); !strings.Contains(out, text) || err != nil && text == "" {
			t.Errorf("%s %q: %v, and not %q\n%s", name, args, err, text, out)
		}
	}
	want("say which version", "tools/release-commit", "1.2.3")
	for _, version := range []string{"v1.2.3-..", "v1.2.3-x.lock", "v01.2.3", "v1.2.3-01", "v1.2", "v1.2.3-", "v1.2.3+x"} {
		want("say which version", "tools/release-commit", version)
	}
	want("v1.2.3 is ", "tools/release-commit", "v1.2.3")
	want("there is a tag v1.2.3 already", "tools/release-commit", "v1.2.3")
	want("layer\n", "git", "show", "v1.2.3:packaging/watchdog/blobs/one")
	want("layers\n", "git", "show", "v1.2.3:packaging/watchdog/README.md")
	want("", "git", "diff", "--exit-code", "HEAD", "v1.2.3^")
	if out, err := run("git", "ls-tree", "-r", "--name-only", "HEAD"); err != nil || strings.Contains(out, "blobs") {
		t.Errorf("%v: the branch has\n%s", err, out)
	}
	if out, err := run("git", "status", "--porcelain"); err != nil || out != "" {
		t.Errorf("%v: %s", err, out)
	}
	// Anybody's is the same commit, and so it can be made again.
	first, err := run("git", "rev-parse", "v1.2.3^{commit}")
	if err != nil {
		t.Fatal(first)
	}
	want("", "git", "tag", "--delete", "v1.2.3")
	want(strings.TrimSpace(first), "tools/release-commit", "v1.2.3")
	want("", "git", "rm", "--quiet", ".gitignore")
	want("the checkout has changes; commit them first", "tools/release-commit", "v1.2.4")
}

// TestPreCommit: the hook looks at each file, whatever its name.
func TestPreCommit(t *testing.T) {
	t.Parallel()
	dir, run := repositoryOf(t, "hooks/pre-commit", map[string]string{
		"go.mod": "module fnb\n\ngo 1.26\n", "internal/house/house_test.go": "package house\n",
	})
	for _, name := range []string{"ü.go", "-l.go", "with space.go", "it's/x.go", "it's/testdata/x.go"} {
		path := filepath.Join(dir, name)
		for _, step := range []struct{ text, want string }{{"package  x\n", "not formatted; type: gofmt -w ./"}, {"package x\n", ""}} {
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(step.text), 0o600)); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(step.text, "package x\n") {
				step.want = map[string]string{"it's/x.go": "it's", "-l.go": "invalid input file name"}[name]
			}
			if out, err := run("git", "add", "--", name); err != nil {
				t.Fatal(out)
			}
			out, err := run("tools/hooks/pre-commit")
			// Of two Go takes no package, and says so.
			if bad := step.want != ""; bad != (err != nil) || !strings.Contains(out, step.want) {
				t.Errorf("%s, %q: %v\n%s", name, step.text, err, out)
			}
		}
		if out, err := run("git", "rm", "--quiet", "--force", "--", name); err != nil {
			t.Fatal(out)
		}
	}
}
