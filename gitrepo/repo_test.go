package gitrepo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// run runs git in a folder, as an author that every machine has.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// project makes a repository with two commits and a tag on the first.
func project(t *testing.T, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "project")
	run(t, t.TempDir(), append(append([]string{"init", "-q", "-b", "main"}, args...), dir)...)
	write(t, filepath.Join(dir, "one/handler.txt"), "first\n")
	write(t, filepath.Join(dir, "two/handler.txt"), "two\n")
	run(t, dir, "add", ".")
	run(t, dir, "commit", "-qm", "first")
	run(t, dir, "tag", "v1")
	write(t, filepath.Join(dir, "one/handler.txt"), "second\n")
	run(t, dir, "commit", "-qam", "second")
	run(t, dir, "remote", "add", "origin", "https://example.com/acme/project.git")
	run(t, dir, "config", "uploadpack.allowFilter", "true")
	run(t, dir, "config", "uploadpack.allowAnySHA1InWant", "true")
	return dir
}

// kinds are repositories of every kind that git makes, each with the files of project.
func kinds(t *testing.T) map[string]string {
	t.Helper()
	clone := func(dir string, args ...string) string {
		to := filepath.Join(t.TempDir(), "clone")
		run(t, t.TempDir(), append(append([]string{"clone", "-q"}, args...), "file://"+dir, to)...)
		return to
	}
	plain, sparse, linked := project(t), project(t), project(t)
	run(t, sparse, "sparse-checkout", "set", "--cone", "two")
	run(t, linked, "worktree", "add", "-q", "--detach", linked+"-linked")
	run(t, linked+"-linked", "checkout", "-q", "-b", "other")
	disabled, precious, four, split := project(t), project(t), project(t), project(t)
	run(t, disabled, "sparse-checkout", "set", "--cone", "two")
	run(t, disabled, "sparse-checkout", "disable")
	run(t, precious, "config", "core.repositoryFormatVersion", "1")
	run(t, precious, "config", "extensions.preciousObjects", "true")
	run(t, four, "update-index", "--index-version", "4")
	run(t, split, "update-index", "--split-index")
	shared := filepath.Join(t.TempDir(), "shared")
	run(t, t.TempDir(), "clone", "-q", "--shared", plain, shared)
	super := filepath.Join(t.TempDir(), "super")
	run(t, t.TempDir(), "init", "-q", super)
	run(t, super, "submodule", "--quiet", "add", "file://"+plain, "sub")
	run(t, super, "commit", "-qm", "sub")
	packed := project(t)
	run(t, packed, "gc", "-q")
	return map[string]string{
		"plain": plain, "sparse": sparse, "sparse, disabled": disabled, "linked worktree": linked + "-linked",
		"precious objects": precious, "index version 4": four, "split index": split, "packed": packed,
		"shared clone": shared, "partial clone": clone(plain, "--filter=blob:none"), "partial clone without trees": clone(plain, "--filter=tree:0"),
		"submodule": filepath.Join(super, "sub"), "sha256": project(t, "--object-format=sha256"),
	}
}

// read asks all there is of a repository of project's files.
func read(t *testing.T, dir string) error {
	t.Helper()
	r, err := Open(t.Context(), filepath.Join(dir, "two"), Options{})
	if err != nil {
		return err
	}
	if r.Root != dir || r.Prefix != "two" {
		t.Errorf("%s: root %s, prefix %s", dir, r.Root, r.Prefix)
	}
	head, err := r.Head(t.Context())
	if want := run(t, dir, "rev-parse", "HEAD"); err != nil || head.Commit != want {
		t.Errorf("%s: HEAD is %v, %v, and should be %s", dir, head, err, want)
	}
	if want := run(t, dir, "rev-parse", "--abbrev-ref", "HEAD"); head.Branch != want {
		t.Errorf("%s: branch %s, and should be %s", dir, head.Branch, want)
	}
	if name, err := r.Describe(t.Context()); err != nil || name != run(t, dir, "describe", "--tags", "--always") {
		t.Errorf("%s: described as %s, %v", dir, name, err)
	}
	if at, err := r.Remote(t.Context(), "origin"); err != nil || at != run(t, dir, "config", "remote.origin.url") {
		t.Errorf("%s: remote %s, %v", dir, at, err)
	}
	tree, err := r.Tree(t.Context(), "HEAD~1")
	if err != nil {
		return err
	}
	defer tree.Close()
	to := t.TempDir()
	root, err := os.OpenRoot(to)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := tree.Write(t.Context(), root, "one"); err != nil {
		return err
	}
	if data, err := os.ReadFile(filepath.Join(to, "one/handler.txt")); err != nil || string(data) != "first\n" {
		t.Errorf("%s: one/handler.txt of HEAD~1 is %q, %v", dir, data, err)
	}
	if _, err := os.Stat(filepath.Join(to, "two")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: two was written, which nobody asked for: %v", dir, err)
	}
	return nil
}

func TestEveryKind(t *testing.T) {
	for name, dir := range kinds(t) {
		if err := read(t, dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r, err := Open(t.Context(), dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		same, err := r.Checkout(t.Context(), at(t, r, "HEAD~1"), []string{"one", "two"})
		if err != nil || same.Same("one") || !same.Same("two") || same.Same("three") {
			t.Errorf("%s: one %v, two %v, three %v, %v", name, same.Same("one"), same.Same("two"), same.Same("three"), err)
		}
	}
}

// TestWithoutGit is TestEveryKind where git is not installed: what go-git cannot read is an
// error that names it.
func TestWithoutGit(t *testing.T) {
	all := kinds(t)
	for name, dir := range all {
		r, err := withoutGit(dir)
		ext, isExt := errors.AsType[*ExtensionError](err)
		if name == "sha256" {
			if !isExt || !strings.EqualFold(ext.Name, "objectFormat") || ext.Value != "sha256" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		head, err := r.Head(t.Context())
		if err != nil || head.Commit != run(t, dir, "rev-parse", "HEAD") {
			t.Errorf("%s: %v, %v", name, head, err)
		}
		tree, err := r.Tree(t.Context(), "HEAD~1")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		data, err := tree.Read("one/handler.txt", 100)
		missing, isMissing := errors.AsType[*MissingError](err)
		if strings.HasPrefix(name, "partial") {
			if !isMissing || !missing.Partial {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		} else if string(data) != "first\n" || err != nil {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		if err := tree.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func withoutGit(dir string) (*Repo, error) {
	r := &Repo{dir: dir}
	return r, r.read(Options{})
}

func TestExtensions(t *testing.T) {
	for _, ext := range []string{"relativeWorktrees=true", "refStorage=reftable", "future=x"} {
		dir := project(t)
		key, value, _ := strings.Cut(ext, "=")
		run(t, dir, "config", "core.repositoryFormatVersion", "1")
		run(t, dir, "config", "extensions."+key, value)
		out, reads := exec.CommandContext(t.Context(), "git", "-C", dir, "rev-parse", "HEAD").CombinedOutput()
		_, err := Open(t.Context(), dir, Options{})
		refused, isRefused := errors.AsType[*GitError](err)
		if (reads == nil) != (err == nil) || err != nil && (!isRefused || !strings.Contains(strings.Join(strings.Fields(string(out)), " "), refused.Said)) {
			t.Errorf("%s: git says %q, and fnb %v", ext, out, err)
		}
		_, err = withoutGit(dir)
		if _, isExt := errors.AsType[*ExtensionError](err); isExt != (key != "relativeWorktrees") {
			t.Errorf("%s without git: %v", ext, err)
		}
	}
}

func TestShallow(t *testing.T) {
	to := filepath.Join(t.TempDir(), "shallow")
	run(t, t.TempDir(), "clone", "-q", "--depth=1", "file://"+project(t), to)
	r, err := Open(t.Context(), to, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Tree(t.Context(), "HEAD~1")
	if m, ok := errors.AsType[*MissingError](err); !ok || !m.Shallow || m.What != "HEAD~1" {
		t.Error(err)
	}
	if o, err := withoutGit(to); err != nil || !o.Shallow {
		t.Errorf("without git: %v, %v", o, err)
	}
}

// TestPartial sees that what is missing is fetched, not offline, and not where the repository
// itself names a command for it.
func TestPartial(t *testing.T) {
	to := filepath.Join(t.TempDir(), "partial")
	run(t, t.TempDir(), "clone", "-q", "--filter=blob:none", "file://"+project(t), to)
	ran := filepath.Join(t.TempDir(), "ran")
	for _, test := range []struct {
		setting string
		offline bool
	}{{offline: true}, {setting: "remote.origin.uploadpack"}, {setting: "core.sshCommand"}} {
		if test.setting != "" {
			run(t, to, "config", test.setting, "touch "+ran+"; git-upload-pack")
		}
		r, err := Open(t.Context(), to, Options{Offline: test.offline})
		if err != nil {
			t.Fatal(err)
		}
		tree, err := r.Tree(t.Context(), "HEAD~1")
		if err != nil {
			t.Fatal(err)
		}
		_, err = tree.Read("one/handler.txt", 100)
		if m, ok := errors.AsType[*MissingError](err); !ok || !m.Partial || m.Offline != test.offline || m.Command != strings.ToLower(test.setting) {
			t.Errorf("%+v: %v", test, err)
		}
		_ = tree.Close()
		if test.setting != "" {
			run(t, to, "config", "--unset", test.setting)
		}
	}
	if exists(ran) {
		t.Error("what the repository names was run")
	}
}

// TestRunsNothing has a repository name commands wherever it can.
func TestRunsNothing(t *testing.T) {
	dir := project(t)
	ran := filepath.Join(t.TempDir(), "ran")
	script := filepath.Join(t.TempDir(), "evil")
	write(t, script, "#!/bin/sh\ntouch "+ran+"\ncat\n")
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".gitattributes"), "* filter=evil diff=evil\n")
	run(t, dir, "add", ".")
	run(t, dir, "commit", "-qm", "attributes")
	for _, key := range []string{"filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.evil.command", "diff.evil.textconv", "core.fsmonitor", "core.pager", "diff.external", "core.sshCommand", "core.editor"} {
		run(t, dir, "config", key, script)
	}
	for _, hook := range []string{"post-index-change", "reference-transaction", "post-checkout", "fsmonitor-watchman"} {
		write(t, filepath.Join(dir, ".git/hooks", hook), "#!/bin/sh\ntouch "+ran+"\n")
		if err := os.Chmod(filepath.Join(dir, ".git/hooks", hook), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Files as young as the index, which git has to read to compare them.
	if err := os.Remove(filepath.Join(dir, ".git/index")); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "read-tree", "HEAD")
	run(t, dir, "-c", "filter.evil.process=", "update-index", "--refresh")
	info, err := os.Stat(filepath.Join(dir, "one/handler.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, ".git/index"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(ran) // by what this test has git do
	r, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	head, err := r.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if same, err := r.Checkout(t.Context(), at(t, r, head.Commit), []string{"one", "two"}); err != nil || !same.Same("one") {
		t.Errorf("one is the same: %v, %v", same.Same("one"), err)
	}
	if exists(ran) {
		t.Error("what the repository names was run")
	}
}

// at opens a revision for [Repo.Checkout].
func at(t *testing.T, r *Repo, revision string) func() (*Tree, error) {
	t.Helper()
	return func() (*Tree, error) {
		tree, err := r.Tree(t.Context(), revision)
		if err == nil {
			t.Cleanup(func() { _ = tree.Close() })
		}
		return tree, err
	}
}

// TestSame lists what may differ without git's index saying so.
func TestSame(t *testing.T) {
	dir := project(t)
	commit := run(t, dir, "rev-parse", "HEAD")
	for _, test := range []struct {
		name   string
		change func()
		same   bool
	}{
		{"nothing", func() {}, true},
		{"a file elsewhere", func() { write(t, filepath.Join(dir, "README"), "x") }, true},
		{"an untracked file", func() { write(t, filepath.Join(dir, "two/new"), "x") }, false},
		{"an ignored file", func() {
			write(t, filepath.Join(dir, ".git/info/exclude"), "new\n")
		}, false},
		{"none of it", func() { _ = os.Remove(filepath.Join(dir, "two/new")) }, true},
		{"an empty folder", func() { _ = os.Mkdir(filepath.Join(dir, "two/empty"), 0o755) }, false},
		{"none of it again", func() { _ = os.Remove(filepath.Join(dir, "two/empty")) }, true},
		{"a mode, which git is told to overlook", func() {
			run(t, dir, "config", "core.fileMode", "false")
			_ = os.Chmod(filepath.Join(dir, "two/handler.txt"), 0o755)
		}, false},
		{"the mode again", func() {
			_ = os.Chmod(filepath.Join(dir, "two/handler.txt"), 0o644)
			run(t, dir, "update-index", "--refresh")
		}, true},
		{"a file that git is told to overlook", func() {
			run(t, dir, "update-index", "--assume-unchanged", "two/handler.txt")
		}, false},
	} {
		test.change()
		r, err := Open(t.Context(), dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Checkout(t.Context(), at(t, r, commit), []string{"one", "two"})
		if err != nil || c.Same("two") != test.same || !c.Same("one") {
			t.Errorf("%s: two %v, one %v, %v", test.name, c.Same("two"), c.Same("one"), err)
		}
	}
}

func TestNone(t *testing.T) {
	if _, err := Open(t.Context(), t.TempDir(), Options{}); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	dir := project(t)
	if _, err := Open(t.Context(), filepath.Join(dir, "two"), Options{Itself: true}); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	bare := filepath.Join(t.TempDir(), "bare.git")
	run(t, t.TempDir(), "clone", "-q", "--bare", dir, bare)
	r, err := Open(t.Context(), bare, Options{Itself: true})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := r.Head(t.Context()); err != nil || h.Branch != "main" {
		t.Errorf("%v, %v", h, err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	run(t, t.TempDir(), "init", "-q", empty)
	if r, err = Open(t.Context(), empty, Options{}); err == nil {
		_, err = r.Head(t.Context())
	}
	if _, ok := errors.AsType[*EmptyError](err); !ok {
		t.Error(err)
	}
}

// TestEnvironment is in a hook of another repository, which git tells where it is.
func TestEnvironment(t *testing.T) {
	here, other := project(t), project(t)
	write(t, filepath.Join(other, "more"), "x")
	run(t, other, "add", ".")
	run(t, other, "commit", "-qm", "third")
	t.Setenv("GIT_DIR", filepath.Join(other, ".git"))
	t.Setenv("GIT_INDEX_FILE", filepath.Join(other, ".git/index"))
	want := map[string]string{}
	for _, dir := range []string{here, other} {
		data, err := os.ReadFile(filepath.Join(dir, ".git/refs/heads/main"))
		if err != nil {
			t.Fatal(err)
		}
		want[dir] = strings.TrimSpace(string(data))
	}
	t.Setenv("GIT_WORK_TREE", other)
	for dir, commit := range want {
		r, err := Open(t.Context(), dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if h, err := r.Head(t.Context()); err != nil || h.Commit != commit {
			t.Errorf("%s: %v, %v, and should be %s", dir, h, err, commit)
		}
	}
}

func TestChanges(t *testing.T) {
	dir := project(t)
	write(t, filepath.Join(dir, "three/new"), "x")
	run(t, dir, "add", ".")
	run(t, dir, "rm", "-q", "two/handler.txt")
	run(t, dir, "commit", "-qm", "third")
	r, err := Open(t.Context(), dir, Options{Itself: true})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := r.Tree(t.Context(), "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	was, err := tree.At("v1")
	if err != nil {
		t.Fatal(err)
	}
	all, err := tree.Changes(was)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range all {
		kind := "M"
		if c.From == 0 {
			kind = "A"
		} else if c.To == 0 {
			kind = "D"
		}
		got = append(got, kind+"\t"+c.Path)
	}
	if want := run(t, dir, "diff-tree", "-r", "--name-status", "--no-renames", "v1", "HEAD"); strings.Join(got, "\n") != want {
		t.Errorf("%q, and git says %q", got, want)
	}
}

// Many paths are compared by the folders that they are in.
func TestManyPaths(t *testing.T) {
	dir := project(t)
	var paths []string
	for i := range 2 * maxPaths {
		name := fmt.Sprintf("many/f%d", i)
		write(t, filepath.Join(dir, name, "x"), name)
		paths = append(paths, name)
	}
	run(t, dir, "add", ".")
	run(t, dir, "commit", "-qm", "many")
	write(t, filepath.Join(dir, "many/f1/x"), "changed")
	write(t, filepath.Join(dir, "many/f2/new"), "new")
	write(t, filepath.Join(dir, "many/f3/x"), "staged")
	run(t, dir, "add", "many/f3")
	write(t, filepath.Join(dir, "many/f3/x"), "many/f3")
	r, err := Open(t.Context(), dir, Options{Ahead: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Checkout(t.Context(), at(t, r, "HEAD"), paths)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"many"}; !slices.Equal(c.within, want) {
		t.Errorf("compared %q, want %q", c.within, want)
	}
	for _, name := range paths {
		if want := name != "many/f1" && name != "many/f2" && name != "many/f3"; c.Same(name) != want {
			t.Errorf("%s is the same: %v", name, !want)
		}
	}
	if c.Same("one") {
		t.Error("what was not compared is the same")
	}
	if got := fewer([]string{"a/b", "c"}); !slices.Equal(got, []string{"a/b", "c"}) {
		t.Errorf("few paths became %q", got)
	}
}
