package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A save is told once however many steps an editor takes, in folders that were not there
// before too; what tools leave beside the code is nothing, and so is what lies beside a file
// that is watched.
func TestWatch(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir, version := filepath.Join(root, "hello"), filepath.Join(root, ".python-version")
	file := filepath.Join(dir, "handler.py")
	write := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(time.Now().String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file)
	w, err := New([]string{dir, version, filepath.Join(root, "nowhere", "go.mod")})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	saved := func(what string, want bool) {
		t.Helper()
		limit := 10 * time.Second
		if !want {
			limit = 20 * settleTime
		}
		select {
		case <-w.Saved:
			if !want {
				t.Errorf("%s is a save", what)
			}
		case <-time.After(limit):
			if want {
				t.Errorf("%s is no save", what)
			}
		}
	}
	write(file)
	saved("a file that is written", true)
	write(filepath.Join(dir, ".handler.py.swp"))
	write(filepath.Join(dir, "handler.py~"))
	write(filepath.Join(dir, ".fnb", "dead-letters", "x"))
	saved("what an editor leaves", false)
	if err := os.Rename(file, filepath.Join(dir, "other.py")); err != nil {
		t.Fatal(err)
	}
	write(file)
	saved("a file that is replaced", true)
	write(filepath.Join(dir, "new", "deep", "x.py"))
	saved("a new folder", true)
	write(version)
	saved("a file that was not there", true)
	write(version)
	saved("a file that is there now", true)
	write(filepath.Join(root, "README.md"))
	write(filepath.Join(root, "other", "x.py"))
	saved("what is beside it", false)
	if err := os.Remove(version); err != nil {
		t.Fatal(err)
	}
	saved("a file that goes away", true)
}
