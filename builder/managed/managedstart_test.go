package managed_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/managed"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

func TestStartErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(t *testing.T, m *managed.Builder)
		want   string
		log    string
	}{
		{"a program that fails", func(_ *testing.T, m *managed.Builder) {
			m.Command = []string{"/bin/sh", "-c", "echo no luck >&2; exit 1"}
		}, "it ended at once", "no luck"},
		{"no such program", func(_ *testing.T, m *managed.Builder) { m.Command = []string{"/no/such/program"} }, "starting the builder: ", ""},
		{"a socket path that is too long", func(_ *testing.T, m *managed.Builder) {
			m.Socket = filepath.Join(filepath.Dir(m.Root), strings.Repeat("long", 30), "b.sock")
		}, "too long for a socket", ""},
		{"a root that is a file", func(t *testing.T, m *managed.Builder) { fixture.EmptyFile(t, m.Root) }, "making the builder's folder", ""},
		{"a root below a file", func(t *testing.T, m *managed.Builder) {
			fixture.EmptyFile(t, m.Root)
			m.Root = filepath.Join(m.Root, "x")
		}, "making the builder's folder", ""},
		{"a root of another user", func(t *testing.T, m *managed.Builder) { fixture.MakeDir(t, m.Root, 0o700, 4242) }, "belongs to another user", ""},
		{"a root that is a link", func(t *testing.T, m *managed.Builder) {
			if err := os.Symlink(t.TempDir(), m.Root); err != nil {
				t.Fatal(err)
			}
		}, "is not a folder", ""},
		{"a root that is open to others", func(t *testing.T, m *managed.Builder) { fixture.MakeDir(t, m.Root, 0o755, 0) }, "is open to other users (mode 0755)", ""},
		{"a socket folder of another user", func(t *testing.T, m *managed.Builder) { fixture.MakeDir(t, filepath.Dir(m.Socket), 0o700, 4242) }, "belongs to another user", ""},
		{"a socket folder that others can write", func(t *testing.T, m *managed.Builder) { fixture.MakeDir(t, filepath.Dir(m.Socket), 0o777, 0) }, "is open to other users (mode 0777)", ""},
		{"a folder of another user above it", func(t *testing.T, m *managed.Builder) {
			fixture.MakeDir(t, filepath.Dir(m.Socket), 0o700, 4242)
			m.Socket = filepath.Join(filepath.Dir(m.Socket), "x", "b.sock")
		}, "where another user could put one of his own", ""},
		{"a folder above it that others can write", func(t *testing.T, m *managed.Builder) {
			fixture.MakeDir(t, filepath.Dir(m.Socket), 0o777, 0)
			m.Socket = filepath.Join(filepath.Dir(m.Socket), "x", "b.sock")
		}, "where another user could put one of his own", ""},
		{"a folder where the socket goes", func(t *testing.T, m *managed.Builder) {
			fixture.MakeDir(t, filepath.Dir(m.Socket), 0o700, 0)
			fixture.MakeDir(t, filepath.Join(m.Socket, "x"), 0o700, 0)
		}, "it ended at once", "removing the old socket"},
		{"a full disk", func(t *testing.T, m *managed.Builder) {
			fixture.MakeDir(t, m.Root, 0o700, 0)
			if err := syscall.Mount("tmpfs", m.Root, "tmpfs", 0, "size=64k,mode=700"); err != nil {
				servers.Require(t, "buildkit", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(m.Root, syscall.MNT_DETACH) })
		}, "it ended at once", "no space left on device"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := buildertest.NewManaged(t, nil)
			tt.change(t, &m)
			if m.Command[0] != "/bin/sh" && m.Command[0] != "/no/such/program" {
				m = buildertest.Again(t, m, "one", nil)
			}
			_, err := m.Start(t.Context())
			if err == nil {
				_ = m.Stop(t.Context())
				t.Fatal("it started")
			}
			var ue *builder.UnreachableError
			log := ""
			if errors.As(err, &ue) {
				log = strings.Join(ue.Log, "\n")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(log, tt.log) {
				t.Errorf("got %v\nlog %s", err, log)
			}
		})
	}
}

// A start that is interrupted returns at once.
func TestStartInterrupted(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, nil)
	m.Command = []string{"sleep", "15"}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := m.Start(ctx)
	if err == nil || time.Since(began) > 8*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}
