package gitrepo_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"fnb/gitrepo"
)

// TestFiles shows a folder of a revision as any other file system.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"sub/a.txt": "a", "sub/deep/b.txt": "b", "c.txt": "c"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "x"}} {
		if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %s", args, out)
		}
	}
	repo, err := gitrepo.Open(t.Context(), dir, gitrepo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := repo.Tree(t.Context(), "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	}()
	files := tree.Files("sub")
	for name, want := range map[string]string{"a.txt": "a", "deep/b.txt": "b"} {
		if data, err := fs.ReadFile(files, name); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if names, err := fs.Glob(files, "*/*.txt"); err != nil || len(names) != 1 || names[0] != "deep/b.txt" {
		t.Errorf("%v, %v", names, err)
	}
	if info, err := fs.Stat(tree.Files("."), "sub/deep"); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
	for _, name := range []string{"c.txt", "gone", "deep/gone"} {
		if _, err := fs.Stat(files, name); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	if _, err := files.Open("deep"); err == nil {
		t.Error("a folder opens as a file")
	}
}
