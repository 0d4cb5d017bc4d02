//go:build linux

package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// TestSettlerState puts everything aside that BuildKit keeps, and nothing else.
func TestSettlerState(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"cache.db", "history.db", "runc-overlayfs/metadata_v2.db", "serve.lock", "builder.log"} {
		path := filepath.Join(root, name)
		fixture.MakeDir(t, filepath.Dir(path), 0o700, -1)
		fixture.EmptyFile(t, path)
	}
	s, err := newSettler(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	if state, err := s.state(); err != nil || len(state) != 3 {
		t.Errorf("%q, %v", state, err)
	}
	s.settle()
	if !exists(s.marker()) {
		t.Error("a timer that fires late has settled what is at work")
	}
	s.end()
	s.settle()
	if exists(s.marker()) {
		t.Error("what has settled is marked")
	}
	if err := os.WriteFile(s.marker(), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = newSettler(root); err != nil || s.dirty {
		t.Errorf("dirty %t, %v", s.dirty, err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		if e.Name() != "lost" {
			left = append(left, e.Name())
		}
	}
	if want := []string{"builder.log", "serve.lock", "settled"}; !slices.Equal(left, want) {
		t.Errorf("left %s, want %s", strings.Join(left, " "), strings.Join(want, " "))
	}
}

// TestSettlerFullDisk begins where nothing more fits: somebody wants to prune.
func TestSettlerFullDisk(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=64k,mode=700"); err != nil {
		servers.Require(t, "buildkit", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(root, syscall.MNT_DETACH) })
	s, err := newSettler(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	s.end()
	s.settle()
	if err := os.WriteFile(filepath.Join(root, "filler"), make([]byte, 128<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	if err := s.begin(); err != nil || !exists(s.marker()) {
		t.Errorf("on a full disk: %v", err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
