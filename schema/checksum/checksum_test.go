package checksum_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"fnb/schema/checksum"
)

// tree is the tree of the golden checksum; the value was worked out with
// sha256sum and sort.
func tree() fstest.MapFS {
	return fstest.MapFS{
		"Dockerfile":          {Data: []byte("FROM scratch\n"), Mode: 0o644},
		"run.sh":              {Data: []byte("#!/bin/sh\n"), Mode: 0o755},
		"function/handler.go": {Data: []byte("package function\n"), Mode: 0o444},
		"function/empty":      {Mode: 0o600},
		"link":                {Data: []byte("function/handler.go"), Mode: fs.ModeSymlink | 0o777},
	}
}

const treeSum = "fnb1:sha256:45c7a4ca76bc8938536dfbfb6bc6b49d8966274f193ce54c4a354e4b916a917e"

func TestChecksumIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	got, err := checksum.Of(tree())
	if err != nil || got != treeSum {
		t.Errorf("got %s, %v, want %s", got, err, treeSum)
	}
	empty, err := checksum.Of(fstest.MapFS{"folder": {Mode: fs.ModeDir | 0o755}})
	const none = "fnb1:sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if err != nil || empty != none {
		t.Errorf("a tree without files is %s, %v, want %s", empty, err, none)
	}
}

func TestChecksumOfAFolderOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, tree()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "run.sh"), 0o700); err != nil { // only the owner's bit decides
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "Dockerfile"), 0o655); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, fsys := range map[string]fs.FS{"DirFS": os.DirFS(dir), "Root": root.FS()} {
		if got, err := checksum.Of(fsys); err != nil || got != treeSum {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, treeSum)
		}
	}
}

func TestChecksumSeesEveryChange(t *testing.T) {
	t.Parallel()
	changes := map[string]func(fstest.MapFS){
		"content": func(m fstest.MapFS) { m["run.sh"].Data = []byte("#!/bin/sH\n") },
		"mode":    func(m fstest.MapFS) { m["run.sh"].Mode = 0o644 },
		"name":    func(m fstest.MapFS) { m["run"] = m["run.sh"]; delete(m, "run.sh") },
		"link":    func(m fstest.MapFS) { m["link"].Data = []byte("function/empty") },
		"kind":    func(m fstest.MapFS) { m["link"].Mode = 0o644 },
		"added":   func(m fstest.MapFS) { m["x"] = &fstest.MapFile{} },
	}
	for name, change := range changes {
		m := tree()
		change(m)
		if got, err := checksum.Of(m); err != nil || got == treeSum {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
}

func TestChecksumRefusesOtherThings(t *testing.T) {
	t.Parallel()
	for _, kind := range []fs.FileMode{fs.ModeNamedPipe, fs.ModeSocket, fs.ModeDevice} {
		if _, err := checksum.Of(fstest.MapFS{"a/pipe": {Mode: kind | 0o644}}); err == nil || !strings.Contains(err.Error(), "a/pipe") {
			t.Errorf("%v: %v", kind, err)
		}
	}
	if _, err := checksum.Of(fstest.MapFS{"a\nb": {}}); err == nil {
		t.Error("a path with a line break was accepted")
	}
}
