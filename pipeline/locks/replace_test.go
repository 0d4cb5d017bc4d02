package locks

import (
	"os"
	"path/filepath"
	"testing"

	"fnb/internal/fixture"
)

// TestReplace holds that a lock is written where it is, and never where a link leads.
func TestReplace(t *testing.T) {
	t.Parallel()
	dir, m := t.TempDir(), &making{write: true}
	lock := filepath.Join(dir, "package-lock.json")
	for i, want := range []bool{true, false} {
		l := &Lock{File: lock}
		if err := m.put(l, []byte("a")); err != nil || l.Changed != want {
			t.Errorf("%d: %v, %v", i, l.Changed, err)
		}
	}
	victim := filepath.Join(dir, "authorized_keys")
	fixture.Must(t, os.WriteFile(victim, []byte("mine"), 0o600))
	link := filepath.Join(dir, "yarn.lock")
	fixture.Must(t, os.Symlink(victim, link))
	if err := m.put(&Lock{File: link}, []byte("a key of somebody's")); err == nil {
		t.Error("a link was followed")
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != "mine" {
		t.Errorf("%q, %v", got, err)
	}
}
