package store_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
	"fnb/store"
	"fnb/templates"
)

// keep puts a template of about size bytes into the cache, used some hours ago.
func keep(t *testing.T, s *store.Finder, name string, size, hours int) *templates.Template {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	writeTemplate(t, dir, "1.0.0")
	fixture.Must(t, os.WriteFile(filepath.Join(dir, "function", "big"), []byte(strings.Repeat(name[:1], size)), 0o600))
	tmpl, err := templates.OpenDir(dir)
	fixture.Must(t, err)
	fixture.Must(t, s.Keep(t.Context(), tmpl))
	place := cachedAt(s, tmpl)
	then := time.Now().Add(-time.Duration(hours) * time.Hour)
	fixture.Must(t, os.Chtimes(place, then, then))
	return tmpl
}

func TestCacheIsPrunedBySize(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cache")
	first := newStore(t, store.Options{CacheDir: dir})
	old, used, young := keep(t, first, "old", 60_000, 3), keep(t, first, "used", 60_000, 9), keep(t, first, "young", 60_000, 1)
	has := func(s *store.Finder, tmpl *templates.Template) bool {
		place := cachedAt(s, tmpl)
		info, err := os.Stat(place)
		return err == nil && info.IsDir()
	}
	// While somebody uses the cache nothing is removed.
	second := newStore(t, store.Options{CacheDir: dir, CacheSize: 150_000})
	if _, ok := second.Cache().Open(used.Checksum); !ok {
		t.Error("it is not there")
	}
	if !has(second, old) || !has(second, young) {
		t.Error("removed while in use")
	}
	fixture.Must(t, first.Close())
	fixture.Must(t, second.Close())
	// The next one removes what was not used for the longest time.
	third := newStore(t, store.Options{CacheDir: dir, CacheSize: 150_000})
	if _, ok := third.Cache().Open(young.Checksum); !ok {
		t.Error("the youngest is gone")
	}
	if has(third, old) || !has(third, used) {
		t.Errorf("old %v, used %v", has(third, old), has(third, used))
	}
	fixture.Must(t, third.Close())
	// One that finds nothing added does not measure.
	if _, err := os.Stat(filepath.Join(third.Opts().CacheDir, "grown")); err == nil {
		t.Error("grown is still there")
	}
	n, err := newStore(t, store.Options{CacheDir: dir, CacheSize: 1}).Prune(t.Context())
	if err != nil || n < 120_000 || has(third, used) {
		t.Errorf("%d %v", n, err)
	}
}

// TestIndexProcess is not a test of its own: it is the program that
// TestKilledWhileIndexing starts.
func TestIndexProcess(t *testing.T) {
	dir := os.Getenv("FNB_TEST_INDEX")
	if dir == "" {
		t.Skip("run by other tests")
	}
	for range 1000 {
		s := newStore(t, store.Options{CacheDir: filepath.Join(dir, "cache"), StoresFile: filepath.Join(dir, "stores.json"), CacheSize: 1})
		_, err := s.UpdateStores(t.Context())
		fixture.Must(t, err)
		fixture.Must(t, s.Close())
	}
}

// TestKilledWhileIndexing kills a process that does nothing but write a store's index,
// at random points. What it leaves works, offline, and does not grow.
func TestKilledWhileIndexing(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	var files strings.Builder
	files.WriteString("-- store.json --\n{\"v\": 1}\n")
	for i := range 200 {
		fmt.Fprintf(&files, `-- templates/acme/t%d/v/1.0.0.json --
{"v": 1, "kind": "template", "name": "acme/t%d", "vers": "1.0.0", "cksum": "fnb1:sha256:%s",
 "source": {"git": {"url": "https://example.com/t.git", "ref": "refs/tags/v1", "commit": "%s", "path": "template/x"}}, "parts": {"entrypoint": {}, "handler": {"dir": "function"}}}
`, i, i, strings.Repeat("0a", 32), strings.Repeat("9b", 20))
	}
	commit(t, g, "store", servers.Commit{Files: files.String()})
	dir := t.TempDir()
	url := "file://" + filepath.Join(g.Dir, "store.git") // read anew each time
	open := func() *store.Finder {
		return newStore(t, store.Options{CacheDir: filepath.Join(dir, "cache"), StoresFile: filepath.Join(dir, "stores.json"), Offline: true})
	}
	_, _, err := open().AddStore(t.Context(), "acme", url, nil)
	fixture.Must(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		// With another commit each time, or nothing would be written.
		commit(t, g, "store", servers.Commit{Files: files.String() + fmt.Sprintf("-- README --\n%d\n", r.Int())})
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestIndexProcess$")
		cmd.Env = append(os.Environ(), "FNB_TEST_INDEX="+dir, "TMPDIR="+t.TempDir())
		fixture.Must(t, cmd.Start())
		time.Sleep(time.Duration(60+r.IntN(120)) * time.Millisecond)
		fixture.Must(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed; how it ended is known
		s := open()
		x, ok := s.Cache().OpenIndex(url)
		if !ok || len(x.All(schema.KindTemplate)) != 200 {
			t.Fatalf("the index is gone or not whole: %v", ok)
		}
		versions, err := s.Versions(t.Context(), "acme/t199")
		if err != nil || len(versions) != 1 {
			t.Fatalf("%v %v", versions, err)
		}
	}
	// The last one may have been killed between two that take what was there away.
	commit(t, g, "store", servers.Commit{Files: files.String() + "-- README --\nlast\n"})
	_, err = open().Versions(t.Context(), "acme/t199")
	fixture.Must(t, err)
	left, err := os.ReadDir(indexFolder(open(), url))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// cachedAt is where the cache keeps a template.
func cachedAt(s *store.Finder, tmpl *templates.Template) string {
	return filepath.Join(s.Opts().CacheDir, "templates", strings.TrimPrefix(tmpl.Checksum, "fnb1:sha256:"))
}
