package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/pipeline"
	"fnb/schema"
)

// TestRunSocket: no socket is opened in a folder where another user could put one of
// his own, and none is asked there.
func TestRunSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "fnb", "hello", "run.sock")
	open := func(mode os.FileMode) error {
		t.Helper()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		s, err := listen(t.Context(), &pipeline.Job{Function: schema.Function{Name: "hello"}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.shut)
		return s.open(t.Context(), socket)
	}
	if err := open(0o777); err == nil || !strings.Contains(err.Error(), "where another user could put one of his own") {
		t.Errorf("in an open folder: %v", err)
	}
	if err := open(0o700); err != nil {
		t.Errorf("in the user's own: %v", err)
	}
	if Dial(t.Context(), socket) == nil {
		t.Error("it is not found")
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if Dial(t.Context(), socket) != nil {
		t.Error("one in an open folder is asked")
	}
}
