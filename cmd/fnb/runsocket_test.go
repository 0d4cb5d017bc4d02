package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/schema"
)

// TestRunSocket: fnb run opens no socket in a folder where another user could put one of
// his own, and fnb invoke asks none there.
func TestRunSocket(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	stack := filepath.Join(t.TempDir(), "stack.yaml")
	open := func(mode os.FileMode) error {
		t.Helper()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		s, err := listen(t.Context(), &job{fn: schema.Function{Name: "hello"}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.shut)
		return s.open(t.Context(), stack)
	}
	if err := open(0o777); err == nil || !strings.Contains(err.Error(), "where another user could put one of his own") {
		t.Errorf("in an open folder: %v", err)
	}
	if err := open(0o700); err != nil {
		t.Errorf("in the user's own: %v", err)
	}
	if runningFunction(t.Context(), stack, "hello") == nil {
		t.Error("it is not found")
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if runningFunction(t.Context(), stack, "hello") != nil {
		t.Error("one in an open folder is asked")
	}
}
