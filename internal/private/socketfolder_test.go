//go:build linux

package private

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/fixture"
)

// TestSocketFolder: a socket goes only where no other user can put one of his own, as he
// could below /tmp before the user comes there. It needs the rights to give files away.
func TestSocketFolder(t *testing.T) {
	t.Parallel()
	const other = 4242
	for name, c := range map[string]struct {
		make func(t *testing.T, tmp string)
		want string // "" is that the folder is made
	}{
		"nothing there":           {func(*testing.T, string) {}, ""},
		"the user's own":          {func(t *testing.T, tmp string) { fixture.MakeDir(t, filepath.Join(tmp, "fnb-0"), 0o700, 0) }, ""},
		"another user's":          {func(t *testing.T, tmp string) { fixture.MakeDir(t, filepath.Join(tmp, "fnb-0"), 0o700, other) }, "where another user could"},
		"another user's, open":    {func(t *testing.T, tmp string) { fixture.MakeDir(t, filepath.Join(tmp, "fnb-0"), 0o777, other) }, "where another user could"},
		"open to others":          {func(t *testing.T, tmp string) { fixture.MakeDir(t, filepath.Join(tmp, "fnb-0"), 0o777, 0) }, "where another user could"},
		"the folder is another's": {func(t *testing.T, tmp string) { fixture.MakeDir(t, filepath.Join(tmp, "fnb-0", "x"), 0o700, other) }, "belongs to another user"},
		"the folder is open":      {func(t *testing.T, tmp string) { fixture.MakeDir(t, filepath.Join(tmp, "fnb-0", "x"), 0o750, 0) }, "is open to other users"},
		"the folder is a link": {func(t *testing.T, tmp string) {
			fixture.MakeDir(t, filepath.Join(tmp, "fnb-0"), 0o700, 0)
			linkOf(t, filepath.Join(tmp, "fnb-0", "x"), t.TempDir(), 0)
		}, "is not a folder"},
		"another user's link to the user's own": {func(t *testing.T, tmp string) {
			linkOf(t, filepath.Join(tmp, "fnb-0"), t.TempDir(), other)
		}, "where another user could"},
		"the user's link to another's": {func(t *testing.T, tmp string) {
			place := filepath.Join(t.TempDir(), "theirs")
			fixture.MakeDir(t, place, 0o700, other)
			linkOf(t, filepath.Join(tmp, "fnb-0"), place, 0)
		}, "where another user could"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmp := filepath.Join(t.TempDir(), "tmp")
			fixture.MakeDir(t, tmp, 0o777, 0)
			if err := os.Chmod(tmp, 0o777|os.ModeSticky); err != nil {
				t.Fatal(err)
			}
			c.make(t, tmp)
			dir := filepath.Join(tmp, "fnb-0", "x")
			err := MakeSocketFolder(dir, 0o077)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("the error is %v", err)
				}
				return
			}
			info, serr := os.Lstat(dir)
			if err := errors.Join(err, serr); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%v %v", info, err)
			}
			above, err := os.Lstat(filepath.Dir(dir))
			if err != nil || above.Mode().Perm() != 0o700 {
				t.Errorf("%v %v", above, err)
			}
		})
	}
}

func linkOf(t *testing.T, path, to string, owner int) {
	t.Helper()
	if err := errors.Join(os.Symlink(to, path), os.Lchown(path, owner, owner)); err != nil {
		t.Fatal(err)
	}
}
