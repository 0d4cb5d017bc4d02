//go:build linux

package daemon_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/internal/fixture"
)

// TestSettle kills a builder right after a solve, which loses nothing, and then
// has it find that the machine was down in between.
func TestSettle(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, nil)
	marker := filepath.Join(m.Root, "unsettled")
	req := builder.Request{Name: "settle", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY a /\n", "a", "text")}
	cached := func() float64 {
		t.Helper()
		if _, err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		c := buildertest.Connect(t, builder.Options{Address: m.Address()})
		defer func() { _ = c.Close() }()
		return buildertest.Solve(t, c, req).CachedPart
	}
	t.Cleanup(func() {
		if err := m.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if part := cached(); part == 1 {
		t.Error("a new builder has the image already")
	}
	boot := fixture.Read(t, marker)
	if boot != fixture.Read(t, "/proc/sys/kernel/random/boot_id") {
		t.Errorf("%s holds %q", marker, boot)
	}

	pid := buildertest.State(t, m).PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, 20*time.Second, "the builder has ended", func() bool { return !buildertest.State(t, m).Running })
	if part := cached(); part != 1 {
		t.Errorf("after it was killed %v of the steps were cached", part)
	}
	fixture.Eventually(t, 30*time.Second, "the databases are on the disk", func() bool { return absent(marker) })

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
	fixture.Eventually(t, 30*time.Second, "what it had is gone", func() bool { return absent(filepath.Join(m.Root, "lost")) })
}

func absent(path string) bool {
	_, err := os.Stat(path)
	return os.IsNotExist(err)
}
