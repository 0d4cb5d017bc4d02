//go:build linux && !fnb_client

package builder

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
)

// TestSettle kills a builder right after a solve, which loses nothing, and then
// has it find that the machine was down in between.
func TestSettle(t *testing.T) {
	t.Parallel()
	m := managed(t, nil)
	marker := filepath.Join(m.Root, "unsettled")
	req := Request{Name: "settle", Context: files("Dockerfile", "FROM scratch\nCOPY a /\n", "a", "text")}
	cached := func() float64 {
		t.Helper()
		if _, err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		c := dial(t, Options{Address: m.Address()})
		defer func() { _ = c.Close() }()
		return solve(t, c, req).CachedPart
	}
	t.Cleanup(func() {
		if err := m.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if part := cached(); part == 1 {
		t.Error("a new builder has the image already")
	}
	boot := read(t, marker)
	if boot != read(t, bootFile) {
		t.Errorf("%s holds %q", marker, boot)
	}

	pid := state(t, m).PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the builder has ended", func() bool { return !state(t, m).Running })
	if part := cached(); part != 1 {
		t.Errorf("after it was killed %v of the steps were cached", part)
	}
	eventually(t, 30*time.Second, "the databases are on the disk", func() bool { return absent(marker) })

	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if part := cached(); part != 1 {
		t.Errorf("after it was stopped %v of the steps were cached", part)
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !absent(marker) {
		t.Error("it was stopped and has not written its databases")
	}

	if err := os.WriteFile(marker, []byte("another start of the machine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if part := cached(); part == 1 {
		t.Error("after the machine went down the cache is as it was")
	}
	eventually(t, 30*time.Second, "what it had is gone", func() bool { return absent(filepath.Join(m.Root, "lost")) })
}

func absent(path string) bool {
	_, err := os.Stat(path)
	return os.IsNotExist(err)
}

// TestSettlerState puts everything aside that BuildKit keeps, and nothing else.
func TestSettlerState(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"cache.db", "history.db", "runc-overlayfs/metadata_v2.db", "serve.lock", "builder.log"} {
		path := filepath.Join(root, name)
		makeDir(t, filepath.Dir(path), 0o700, -1)
		writeFile(t, path)
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
	if absent(s.marker()) {
		t.Error("a timer that fires late has settled what is at work")
	}
	s.end()
	s.settle()
	if !absent(s.marker()) {
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
	if err := s.begin(); err != nil || absent(s.marker()) {
		t.Errorf("on a full disk: %v", err)
	}
}
