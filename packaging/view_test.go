package packaging

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/schema/checksum"
	"fnb/templates/tree"
)

func TestDigestDoesNotDependOnTheMachine(t *testing.T) {
	t.Parallel()
	list := map[string]string{"hello/a/b.txt": "text", "hello/run.sh": "#!/bin/sh", "hello/l": "-> a/b.txt", "hello/list.txt": ""}
	one, two := files(t, list), files(t, list)
	err := filepath.WalkDir(two, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() == fs.ModeSymlink {
			return err
		}
		info, err := d.Info()
		return errors.Join(err, os.Chmod(name, info.Mode().Perm()|0o027), os.Chtimes(name, time.Time{}, time.Unix(1, 0)))
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Mkdir(filepath.Join(two, "hello", "empty"), 0o700) // does not count
	if err := os.Chmod(filepath.Join(two, "hello", "a", "b.txt"), 0o666); err != nil {
		t.Fatal(err)
	}
	a := assemble(t, Input{Function: function(), Template: plainTemplate(t), Root: one})
	b := assemble(t, Input{Function: function(), Template: plainTemplate(t), Root: two})
	if a.Digest != b.Digest {
		t.Errorf("the digests are %s and %s", a.Digest, b.Digest)
	}
	if err := os.Rename(filepath.Join(two, "hello", "run.sh"), filepath.Join(two, "hello", "go.sh")); err != nil {
		t.Fatal(err)
	}
	if c := assemble(t, Input{Function: function(), Template: plainTemplate(t), Root: two}); c.Digest == a.Digest {
		t.Error("another name gives the same digest")
	}
}

func TestFilesThatChangeAreErrors(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"hello/x": "one", "hello/y": "one", "hello/list.txt": ""})
	c := assemble(t, Input{Function: function(), Template: plainTemplate(t), Root: root})
	if err := os.WriteFile(filepath.Join(root, "hello", "x"), []byte("longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	y := filepath.Join(root, "hello", "y")
	if err := errors.Join(os.Remove(y), fixture.Special(y, syscall.S_IFIFO)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"function/x", "function/y"} {
		_, err := fs.ReadFile(c.FS, name)
		var p *tree.PathError
		if !errors.As(err, &p) || p.Path != name {
			t.Errorf("reading %s: %v", name, err)
		}
	}
}

func TestWriteDir(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"hello/sub/run.sh": "#!/bin/sh", "hello/l": "-> sub/run.sh", "hello/list.txt": "l"})
	c := assemble(t, Input{Function: function(), Template: plainTemplate(t), Root: root})
	dir := filepath.Join(t.TempDir(), "out", "context")
	if err := WriteDir(t.Context(), c.FS, dir); err != nil {
		t.Fatal(err)
	}
	opened, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := checksum.Of(opened.FS()); err != nil || sum != c.Digest {
		t.Errorf("what was written has the checksum %s, not %s, %v", sum, c.Digest, err)
	}
	if err := WriteDir(t.Context(), c.FS, dir); err == nil {
		t.Error("a folder that is not empty is written over")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := WriteDir(ctx, c.FS, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled write is %v", err)
	}
	if _, err := Assemble(ctx, Input{Function: function(), Template: plainTemplate(t), Root: root}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled assembly is %v", err)
	}
}
