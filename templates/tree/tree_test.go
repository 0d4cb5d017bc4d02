package tree

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
)

// folderOf returns a folder with two files, one of which may be run, and links.
func folderOf(t *testing.T, links map[string]string) (string, fs.FS) {
	t.Helper()
	dir := t.TempDir()
	err := errors.Join(
		os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700),
		os.WriteFile(filepath.Join(dir, "a", "b", "file"), []byte("text"), 0o600),
		os.WriteFile(filepath.Join(dir, "run"), []byte("#!"), 0o700),
		os.MkdirAll(filepath.Join(dir, "a", ".git", "x"), 0o700),
		os.Mkdir(filepath.Join(dir, ".fnb"), 0o700),
		os.WriteFile(filepath.Join(dir, ".fnb", "call"), nil, 0o600),
		os.Mkdir(filepath.Join(dir, "empty"), 0o700),
	)
	for name, target := range links {
		err = errors.Join(err, os.Symlink(target, filepath.Join(dir, name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, Folder(root)
}

func scan(t *testing.T, fsys fs.FS) *FS {
	t.Helper()
	entries, err := Scan{}.Entries(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	view, err := New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

func TestFSIsAFileSystem(t *testing.T) {
	t.Parallel()
	_, fsys := folderOf(t, map[string]string{"link": "a/b/file", "dir": "a"})
	view := scan(t, fsys)
	if err := fstest.TestFS(view, "a/b/file", "run", "link", "dir"); err != nil {
		t.Error(err)
	}
	var names []string
	for _, e := range view.Entries() {
		names = append(names, e.Mode.String()+" "+e.Path)
	}
	want := []string{"-rw-r--r-- a/b/file", "Lrwxrwxrwx dir", "Lrwxrwxrwx link", "-rwxr-xr-x run"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	info, err := view.Stat("dir/b")
	if err != nil || info.Mode() != folderMode || !info.ModTime().Equal(time.Unix(0, 0)) {
		t.Errorf("dir/b is %v, %v", info, err)
	}
	if target, err := view.ReadLink("dir"); err != nil || target != "a" {
		t.Errorf("dir points to %q, %v", target, err)
	}
}

func TestLinksAreFollowedInsideTheTree(t *testing.T) {
	t.Parallel()
	_, fsys := folderOf(t, map[string]string{
		"up": "a/b/../b/file", "again": "up", "dir": "a", "a/back": "../dir/b/file",
		"loop": "pool", "pool": "loop", "gone": "nothing/here",
	})
	view := scan(t, fsys)
	for name, want := range map[string]error{
		"up": nil, "again": nil, "dir/back": nil, "dir/b/file": nil,
		"loop": errLoop, "gone": fs.ErrNotExist, "nothing": fs.ErrNotExist, "run/below": fs.ErrNotExist, "../x": fs.ErrInvalid,
	} {
		data, err := view.ReadFile(name)
		if !errors.Is(err, want) || (want == nil && string(data) != "text") {
			t.Errorf("reading %s: %q, %v", name, data, err)
		}
	}
	if _, err := view.ReadLink("run"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("reading a file as a link: %v", err)
	}
	if _, err := view.ReadDir("run"); err == nil {
		t.Error("a file is read as a folder")
	}
	if _, err := view.Lstat("dir/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("describing nothing: %v", err)
	}
}

func TestScanRefusesLinksThatLeave(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"..", "../x", "/etc/passwd", "a/../../x", "a/b/../../..", `C:\x`, "out/x"} {
		_, fsys := folderOf(t, map[string]string{"link": target, "a/out": "b/../../.."})
		_, err := Scan{}.Entries(t.Context(), fsys)
		if target == "out/x" { // it leads nowhere; a/out is the one that leaves
			target = "b/../../.."
		}
		if err == nil || !strings.Contains(err.Error(), target) {
			t.Errorf("a link to %s: %v", target, err)
		}
		var p *PathError
		if !errors.As(err, &p) {
			t.Errorf("a link to %s: %#v", target, err)
		}
	}
}

func TestScanEndsWithItsContext(t *testing.T) {
	t.Parallel()
	_, fsys := folderOf(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Scan{}).Entries(ctx, fsys); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	stop := errors.New("stop")
	if _, err := (Scan{Skip: func(string, bool) (bool, error) { return false, stop }}).Entries(t.Context(), fsys); !errors.Is(err, stop) {
		t.Errorf("the error is %v", err)
	}
}

func TestNewRefusesEntriesThatDoNotFit(t *testing.T) {
	t.Parallel()
	for name, paths := range map[string][]string{
		"is there twice":              {"a", "b", "a"},
		"is a file and a folder":      {"a", "a/b/c"},
		"is not a path inside":        {"../a"},
		"is not a path inside the t":  {"."},
		"is not a path inside the tr": {"/a"},
	} {
		var entries []Entry
		for _, p := range paths {
			entries = append(entries, Entry{Path: p, Mode: filePerm})
		}
		_, err := New(entries)
		var p *PathError
		if !errors.As(err, &p) || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", paths, err)
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir, fsys := folderOf(t, nil)
	e, err := File(fsys, "run", "elsewhere/run")
	if err != nil {
		t.Fatal(err)
	}
	view, err := New([]Entry{e})
	if err != nil {
		t.Fatal(err)
	}
	if data, err := fs.ReadFile(view, "elsewhere/run"); err != nil || string(data) != "#!" {
		t.Errorf("reading it: %q, %v", data, err)
	}
	if info, err := fs.Stat(view, "elsewhere/run"); err != nil || info.Mode() != execPerm {
		t.Errorf("it is %v, %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte("other"), 0o700); err != nil {
		t.Fatal(err)
	}
	var p *PathError
	if _, err := fs.ReadFile(view, "elsewhere/run"); !errors.As(err, &p) || p.Path != "elsewhere/run" {
		t.Errorf("reading a file that changed: %v", err)
	}
	if _, err := File(fsys, "a", "a"); !errors.As(err, &p) {
		t.Errorf("a folder as a file: %v", err)
	}
	if _, err := File(fsys, "none", "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing as a file: %v", err)
	}
}

func TestFolderDoesNotWaitForAFIFO(t *testing.T) {
	t.Parallel()
	dir, fsys := folderOf(t, nil)
	if err := fixture.Special(filepath.Join(dir, "pipe"), syscall.S_IFIFO); err != nil {
		t.Skip(err)
	}
	f, err := fsys.Open("pipe")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	_, err = Scan{}.Entries(t.Context(), fsys)
	var p *PathError
	if !errors.As(err, &p) || p.Path != "pipe" || !strings.Contains(p.Reason, "FIFO") {
		t.Errorf("the error is %v", err)
	}
}

func TestReadDirInPieces(t *testing.T) {
	t.Parallel()
	_, fsys := folderOf(t, nil)
	f, err := scan(t, fsys).Open(".")
	if err != nil {
		t.Fatal(err)
	}
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		t.Fatalf("%T", f)
	}
	for _, want := range []string{"a", "run"} {
		list, err := d.ReadDir(1)
		if err != nil || len(list) != 1 || list[0].Name() != want {
			t.Errorf("the next is %v, %v, not %s", list, err, want)
		}
	}
	if _, err := d.ReadDir(1); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// FuzzResolve checks that no link leads out of a tree unseen: what resolve
// finds is what the operating system finds.
func FuzzResolve(f *testing.F) {
	for _, seed := range []string{"a/b/file", "..", "a/../x", "../a", "l2/../x", "l2/b/../../..", "/etc", "a//b/./file", "l1"} {
		f.Add(seed, "a/b")
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		dir := t.TempDir()
		inner := filepath.Join(dir, "1", "2", "3", "inner") // so that .. stays in dir
		err := errors.Join(os.MkdirAll(filepath.Join(inner, "a", "b"), 0o700), os.WriteFile(filepath.Join(inner, "a", "b", "file"), []byte("text"), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		if os.Symlink(one, filepath.Join(inner, "l1")) != nil || os.Symlink(two, filepath.Join(inner, "l2")) != nil {
			t.Skip("not a link")
		}
		root, err := os.OpenRoot(inner)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := Scan{}.Entries(t.Context(), Folder(root))
		if err != nil {
			return
		}
		view, err := New(entries)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []string{"l1", "l2"} {
			real, err := filepath.EvalSymlinks(filepath.Join(inner, l))
			if err != nil {
				continue
			}
			below, err := filepath.Rel(inner, real)
			if err != nil || !filepath.IsLocal(below) {
				t.Errorf("%s leads to %s, and was not refused", l, real)
				continue
			}
			if got, err := view.resolve(l); err != nil || got != filepath.ToSlash(below) {
				t.Errorf("%s leads to %s, not to %s, %v", l, below, got, err)
			}
		}
	})
}
