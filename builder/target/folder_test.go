package target_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fnb/builder/target"
)

// A folder that was made for an image goes again if nothing came; one that has files, or was there before, stays.
func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	failed := errors.New("failed")
	discarded := func(path string) (left bool) {
		t.Helper()
		f, err := target.Folder(path)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(path) == "full" {
			if err := os.WriteFile(filepath.Join(path, "file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Discard(failed); !errors.Is(err, failed) {
			t.Errorf("discarding %s: %v", path, err)
		}
		_, err = os.Stat(path)
		return err == nil
	}
	if discarded(filepath.Join(dir, "a", "b")) {
		t.Error("an empty folder is left")
	}
	if !discarded(filepath.Join(dir, "full")) || !discarded(dir) {
		t.Error("a folder that is somebody's is gone")
	}
	if _, err := target.Folder(filepath.Join(dir, "full", "file", "x")); err == nil {
		t.Error("a folder in a file was made")
	}
}
