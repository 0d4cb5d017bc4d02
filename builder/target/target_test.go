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
