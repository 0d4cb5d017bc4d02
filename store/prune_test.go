package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/internal/servers"
	"fnb/schema"
	"fnb/templates"
)

// keep puts a template of about size bytes into the cache, used some hours ago.
func keep(t *testing.T, s *Store, name string, size, hours int) *templates.Template {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	writeTemplate(t, dir, "1.0.0")
	must(t, os.WriteFile(filepath.Join(dir, "function", "big"), []byte(strings.Repeat(name[:1], size)), 0o600))
	tmpl, err := templates.OpenDir(dir)
	must(t, err)
	must(t, s.Keep(t.Context(), tmpl))
	place, _ := s.cache.templateDir(tmpl.Checksum)
	then := time.Now().Add(-time.Duration(hours) * time.Hour)
	must(t, os.Chtimes(place, then, then))
	return tmpl
}

func TestCacheIsPrunedBySize(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cache")
	first := newStore(t, Options{CacheDir: dir})
	old, used, young := keep(t, first, "old", 60_000, 3), keep(t, first, "used", 60_000, 9), keep(t, first, "young", 60_000, 1)
	has := func(s *Store, tmpl *templates.Template) bool {
		place, _ := s.cache.templateDir(tmpl.Checksum)
		return isFolder(place)
	}
	// While somebody uses the cache nothing is removed.
	second := newStore(t, Options{CacheDir: dir, CacheSize: 150_000})
	if _, ok := second.cache.open(used.Checksum); !ok {
		t.Error("it is not there")
	}
	if !has(second, old) || !has(second, young) {
		t.Error("removed while in use")
	}
	must(t, first.Close())
	must(t, second.Close())
	// The next one removes what was not used for the longest time.
	third := newStore(t, Options{CacheDir: dir, CacheSize: 150_000})
	if _, ok := third.cache.open(young.Checksum); !ok {
		t.Error("the youngest is gone")
	}
	if has(third, old) || !has(third, used) {
		t.Errorf("old %v, used %v", has(third, old), has(third, used))
	}
	must(t, third.Close())
	// One that finds nothing added does not measure.
	if _, err := os.Stat(third.cache.grown()); err == nil {
		t.Error("grown is still there")
	}
	n, err := newStore(t, Options{CacheDir: dir, CacheSize: 1}).Prune(t.Context())
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
		s := newStore(t, Options{CacheDir: filepath.Join(dir, "cache"), StoresFile: filepath.Join(dir, "stores.json"), CacheSize: 1})
		_, err := s.UpdateStores(t.Context())
		must(t, err)
		must(t, s.Close())
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
	open := func() *Store {
		return newStore(t, Options{CacheDir: filepath.Join(dir, "cache"), StoresFile: filepath.Join(dir, "stores.json"), Offline: true})
	}
	_, _, err := open().AddStore(t.Context(), "acme", url, nil)
	must(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		// With another commit each time, or nothing would be written.
		commit(t, g, "store", servers.Commit{Files: files.String() + fmt.Sprintf("-- README --\n%d\n", r.Int())})
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestIndexProcess$")
		cmd.Env = append(os.Environ(), "FNB_TEST_INDEX="+dir, "TMPDIR="+t.TempDir())
		must(t, cmd.Start())
		time.Sleep(time.Duration(60+r.IntN(120)) * time.Millisecond)
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed; how it ended is known
		s := open()
		x, ok := s.cache.openIndex(url)
		if !ok || len(x.all(schema.KindTemplate)) != 200 {
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
	must(t, err)
	left, err := os.ReadDir(open().cache.indexPath(url, ""))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
