package buildcontext

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/tonistiigi/fsutil"

	"fnb/internal/fixture"
)

// tricky is a build context whose names sort differently by byte and by folder.
func tricky() fstest.MapFS {
	m := fixture.Files("Dockerfile", "x", "a/b", "1", "a-b", "2", "a.b/c", "3", "a/b.c", "4", "a!", "5", "a/b-/d*", "6", "zoë", "7", "empty/x", "")
	m["a/link"] = &fstest.MapFile{Data: []byte("../zoë"), Mode: fs.ModeSymlink | 0o777}
	return m
}

func served(t *testing.T, fsys fs.FS) *contextFS {
	t.Helper()
	bc, err := Read(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	_, s, err := bc.local("key", nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func walk(t *testing.T, f fsutil.FS, target string, fn func(p string, d fs.DirEntry) error) []string {
	t.Helper()
	var got []string
	if err := f.Walk(t.Context(), target, func(p string, d fs.DirEntry, err error) error {
		got = append(got, p)
		return errors.Join(err, fn(p, d))
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func keepOn(string, fs.DirEntry) error { return nil }

// BuildKit's own validator takes the order, and a real folder is walked alike.
func TestWalkOrder(t *testing.T) {
	t.Parallel()
	var v fsutil.Validator
	got := walk(t, served(t, tricky()), "", func(p string, d fs.DirEntry) error {
		info, err := d.Info()
		return errors.Join(err, v.HandleChange(fsutil.ChangeKindAdd, p, info, nil))
	})
	if len(got) != len(tricky()) {
		t.Errorf("%d of %d entries: %q", len(got), len(tricky()), got)
	}
	dir := t.TempDir()
	writeFS(t, dir, tricky())
	disk, err := fsutil.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(walk(t, disk, "", keepOn), got); d != "" {
		t.Errorf("(-disk +ours)\n%s", d)
	}
	if !slices.IsSortedFunc(got, fsutil.ComparePath) {
		t.Errorf("not in fsutil's order: %q", got)
	}
}

func TestWalkSkips(t *testing.T) {
	t.Parallel()
	f := served(t, tricky())
	tests := []struct {
		name, target, at string
		err              error
		want             []string
	}{
		{name: "a folder is left out", at: "a", err: fs.SkipDir, want: []string{"Dockerfile", "a", "a!", "a-b", "a.b", "a.b/c", "empty", "empty/x", "zoë"}},
		{name: "the rest of a folder is left out", at: "a/b", err: fs.SkipDir, want: []string{"Dockerfile", "a", "a/b", "a!", "a-b", "a.b", "a.b/c", "empty", "empty/x", "zoë"}},
		{name: "everything else is left out", at: "a/b", err: fs.SkipAll, want: []string{"Dockerfile", "a", "a/b"}},
		{name: "skipping a file of the root ends it", at: "Dockerfile", err: fs.SkipDir, want: []string{"Dockerfile"}},
		{name: "one folder", target: "a.b", want: []string{"a.b", "a.b/c"}},
		{name: "one file", target: "/zoë", want: []string{"zoë"}},
		{name: "nothing", target: "nosuch"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			err := f.Walk(t.Context(), tt.target, func(p string, _ fs.DirEntry, _ error) error {
				got = append(got, p)
				if p == tt.at {
					return tt.err
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
	boom := errors.New("boom")
	if err := f.Walk(t.Context(), "", func(string, fs.DirEntry, error) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("an error was lost: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Walk(ctx, "", func(string, fs.DirEntry, error) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a walk goes on after its end: %v", err)
	}
}

// A file that changes between the walk and its transfer is an error: BuildKit
// would keep it under the time of the content that was promised.
func TestChangedWhileSent(t *testing.T) {
	t.Parallel()
	m := tricky()
	f := served(t, m)
	if got := readAll(t, f, "a/b"); got != "1" {
		t.Errorf("got %q", got)
	}
	m["a/b"].Data = []byte("!")
	r, err := f.Open("a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); !errors.Is(err, errChanged) || !strings.Contains(err.Error(), "a/b") {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"", "a", "nosuch", "../x"} {
		if _, err := f.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("opening %q: %v", name, err)
		}
	}
}

func readAll(t *testing.T, f fsutil.FS, name string) string {
	t.Helper()
	r, err := f.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestContextRefuses(t *testing.T) {
	t.Parallel()
	m := fixture.Files("Dockerfile", "FROM scratch")
	m["pipe"] = &fstest.MapFile{Mode: fs.ModeNamedPipe | 0o644}
	_, err := Read(t.Context(), m)
	var pe *fs.PathError
	if !errors.As(err, &pe) || pe.Path != "pipe" {
		t.Errorf("got %v", err)
	}
}

// writeFS writes a build context to disk.
func writeFS(t *testing.T, dir string, m fstest.MapFS) {
	t.Helper()
	if err := os.CopyFS(dir, m); err != nil {
		t.Fatal(err)
	}
}

// A sum that is known spares a reading; one that is wrong ends the transfer.
func TestKnownSums(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{"a": {Data: []byte("a"), Mode: 0o644}, "b": {Data: []byte("b"), Mode: 0o644}}
	right, wrong := sha256.Sum256([]byte("a")), sha256.Sum256([]byte("other"))
	bc, err := Read(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	_, s, err := bc.local("key", map[string]string{"a": hex.EncodeToString(right[:]), "b": hex.EncodeToString(wrong[:])})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"a": nil, "b": errChanged} {
		f, err := s.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(f); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if sent := s.sent.Load(); sent != 2 {
		t.Errorf("%d bytes were sent", sent)
	}
	if _, _, err := bc.local("key", map[string]string{"a": strings.Repeat("x", 64)}); err == nil {
		t.Error("a sum that is none is no error")
	}
}
