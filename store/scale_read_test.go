//go:build unix

package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// largeRepository makes a bare repository of a store with some templates in ten
// versions each.
func largeRepository(tb testing.TB, templates int) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "large.git")
	out, err := exec.CommandContext(tb.Context(), "git", "init", "-q", "--bare", "-b", "main", dir).CombinedOutput()
	if err != nil {
		tb.Fatal(string(out), err)
	}
	cmd := exec.CommandContext(tb.Context(), "git", "-C", dir, "fast-import", "--quiet")
	in, err := cmd.StdinPipe()
	must(tb, err)
	must(tb, cmd.Start())
	w := bufio.NewWriter(in)
	fmt.Fprint(w, "commit refs/heads/main\ncommitter a <a@example.com> 1700000000 +0000\ndata 1\nx\n")
	file := func(name, text string) { fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text) }
	file("store.json", `{"v": 1}`)
	for i := range templates {
		name := fmt.Sprintf("ns%03d/http-%05d", i*200/templates, i)
		file("templates/"+name+"/package.json", fmt.Sprintf(`{"v": 1, "description": "does this and that well enough for most, number %d", "tags": ["http"]}`, i))
		for v := range 10 {
			file(fmt.Sprintf("templates/%s/v/1.%d.0.json", name, v), fmt.Sprintf(`{"v": 1, "kind": "template", "name": %q, "vers": "1.%d.0", "cksum": "fnb1:sha256:%s",
 "source": {"git": {"url": "https://large.example.com/t.git", "ref": "refs/tags/v1.%d.0", "commit": "%040x", "path": "template/x"}}, "parts": {"entrypoint": {}, "handler": {"dir": "function"}},
 "lang": "go", "platforms": ["linux/amd64", "linux/arm64"], "license": "MIT"}
`, name, v, strings.Repeat("0a", 32), v, i))
		}
	}
	must(tb, w.Flush())
	must(tb, in.Close())
	must(tb, cmd.Wait())
	return dir
}

// TestReadProcess is not a test of its own: it is the program whose memory
// BenchmarkReadLargeStore measures.
func TestReadProcess(t *testing.T) {
	url, out := os.Getenv("FNB_TEST_READ"), os.Getenv("FNB_TEST_GENERATE")
	switch {
	case out != "":
		_, err := generateFrom(t, url, out)
		must(t, err)
	case url != "":
		s := newStore(t, Options{CacheDir: filepath.Join(t.TempDir(), "cache"), StoresFile: filepath.Join(t.TempDir(), "stores.json")})
		_, _, err := s.AddStore(t.Context(), "large", url, nil)
		must(t, err)
	default:
		t.Skip("run by a benchmark")
	}
}

// BenchmarkReadLargeStore reads a store of 20 000 templates with 200 000 versions for
// the first time, and generates its index.
func BenchmarkReadLargeStore(b *testing.B) {
	dir := largeRepository(b, 20_000)
	run := func(b *testing.B, env ...string) {
		b.Helper()
		var most int64
		for b.Loop() {
			cmd := exec.CommandContext(context.Background(), os.Args[0], "-test.run=^TestReadProcess$")
			cmd.Env = append(os.Environ(), env...)
			cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
			if p := os.Getenv("FNB_TEST_MEMPROFILE"); p != "" {
				cmd.Args = append(cmd.Args, "-test.memprofile="+p, "-test.memprofilerate=65536")
			}
			must(b, cmd.Run())
			most = max(most, peakOf(cmd.ProcessState))
		}
		b.ReportMetric(float64(most)/1e6, "peak-MB")
	}
	b.Run("file", func(b *testing.B) { run(b, "FNB_TEST_READ=file://"+dir) })
	b.Run("generate", func(b *testing.B) {
		run(b, "FNB_TEST_READ="+dir, "FNB_TEST_GENERATE="+filepath.Join(b.TempDir(), "out"))
	})
}
