package disk_test

import (
	"os"
	"path/filepath"
	"testing"

	"fnb/internal/disk"
)

func TestReplaceFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	link := filepath.Join(dir, "link")
	if err := os.Symlink("f", link); err != nil {
		t.Fatal(err)
	}
	write := func(path, data string, want os.FileMode) {
		t.Helper()
		if err := disk.ReplaceFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, want)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != data {
			t.Errorf("got %q, want %q", got, data)
		}
	}
	write(path, "one", 0o600)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	write(path, "two", 0o640)
	write(link, "three", 0o640)
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
	if err := disk.ReplaceFile(dir, nil, 0o600); err == nil {
		t.Error("a folder was replaced")
	}
	if err := disk.ReplaceFile(filepath.Join(dir, "none", "f"), nil, 0o600); err == nil {
		t.Error("a file was written to no folder")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%d entries, %v: something was left behind", len(entries), err)
	}
}
