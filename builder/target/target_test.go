package target_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"fnb/builder/target"
)

// A file has its name once all of it is there, and nothing is left of one that is not made.
func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	holds := func(want string) {
		t.Helper()
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("it has %q, %v; want %q", got, err, want)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if want := 1; err != nil || len(entries) != want {
			t.Errorf("%d entries beside it, %v", len(entries)-want, err)
		}
	}
	open := func() *target.Fresh {
		t.Helper()
		f, err := target.New(func() (target.Target, error) { return target.File(path) })
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	write := func(f *target.Fresh, text string) {
		t.Helper()
		w, err := f.Open()
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}

	failed := errors.New("failed")
	f := open()
	write(f, "half")
	if err := f.Discard(failed); !errors.Is(err, failed) {
		t.Errorf("discarding it: %v", err)
	}
	holds("old")

	f = open()
	write(f, "half of one that is made again")
	write(f, "new")
	if err := f.Commit(); err != nil {
		t.Error(err)
	}
	holds("new")
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}

	if _, err := target.File(filepath.Join(path, "x")); err == nil || errors.Is(err, os.ErrExist) {
		t.Errorf("a file below a file: %v", err)
	}
}

// What is no regular file is not replaced, what a link leads to is, and a file that cannot get its name leaves nothing behind.
func TestPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"folder", "real", "late"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var failed *target.WriteError
	for _, path := range []string{filepath.Join(dir, "folder"), os.DevNull} {
		if _, err := target.File(path); !errors.As(err, &failed) || failed.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join("real", "image.tar"), link); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "real", "image.tar"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := target.File(link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "new"); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "real", "image.tar")); err != nil || string(got) != "new" {
		t.Errorf("the link leads to %q, %v", got, err)
	}
	if to, err := os.Readlink(link); err != nil {
		t.Errorf("the link is %q, %v", to, err)
	}

	late := filepath.Join(dir, "late", "image.tar")
	if f, err = target.File(late); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(late, 0o700); err != nil { // while the image is made
		t.Fatal(err)
	}
	if err := f.Commit(); !errors.As(err, &failed) || failed.Path != late {
		t.Errorf("a folder in its place: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "late")); err != nil || len(entries) != 1 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}
