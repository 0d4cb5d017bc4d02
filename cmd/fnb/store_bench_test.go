//go:build unix

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
)

// A benched fnb is run with a home of its own.
type benched struct {
	bin, home string
	peak      int64 // the most memory of one run, in bytes
}

// run runs fnb, returns what it printed, and takes the time and the memory.
func (f *benched) run(b *testing.B, args ...string) (out []byte, took time.Duration) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), f.bin, args...)
	cmd.Dir = f.home
	cmd.Env = append(os.Environ(), "HOME="+f.home, "XDG_CACHE_HOME="+f.home, "XDG_CONFIG_HOME="+f.home, "FNB_CONFIG="+os.DevNull)
	start := time.Now()
	out, err := cmd.Output()
	took = time.Since(start)
	if err != nil {
		b.Fatalf("%s: %v", args, err)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		unit := int64(1024)
		if runtime.GOOS == "darwin" {
			unit = 1
		}
		f.peak = max(f.peak, int64(usage.Maxrss)*unit)
	}
	return out, took
}

// measure runs fnb some times, of which it reports the median and the best, and the
// most memory.
func (f *benched) measure(b *testing.B, name string, times int, args ...string) {
	b.Helper()
	b.Run(name, func(b *testing.B) {
		f.peak = 0
		var all []time.Duration
		for b.Loop() {
			for range times {
				_, took := f.run(b, args...)
				all = append(all, took)
			}
		}
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2].Seconds()*1e3, "median-ms")
		b.ReportMetric(all[0].Seconds()*1e3, "best-ms")
		b.ReportMetric(float64(f.peak)/1e6, "peak-MB")
	})
}

// BenchmarkLargeStore has fnb itself generate the index of a store of 20 000 templates
// in 200 000 versions, and of one of 20 000 functions, add them, and find something.
func BenchmarkLargeStore(b *testing.B) {
	bin := filepath.Join(b.TempDir(), "fnb")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-o", bin, ".").CombinedOutput(); err != nil {
		b.Fatalf("%s", out)
	}
	g, err := servers.StartGit(b.Context(), servers.GitOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { g.Close() })
	commits, err := g.Commit(b.Context(), "t", servers.Commit{Files: "-- template/x/template.yml --\nfprocess: cat\n-- template/x/Dockerfile --\nFROM debian:bookworm-slim\nUSER 1\n-- template/x/function/h --\nhi\n"})
	if err != nil {
		b.Fatal(err)
	}
	templates := servers.LargeStore{Templates: 20_000, Versions: 10}
	templates.Last.URL, templates.Last.Commit, templates.Last.Path = g.RepoURL("t"), commits[0], "template/x"
	var shown struct{ Pin struct{ Checksum string } }
	out, _ := (&benched{bin: bin, home: b.TempDir()}).run(b, "template", "show", "--json", g.RepoURL("t")+"//template/x#"+commits[0])
	if err := json.Unmarshal(out, &shown); err != nil {
		b.Fatal(err)
	}
	templates.Last.Checksum = shown.Pin.Checksum
	b.Run("templates", func(b *testing.B) {
		benchStore(b, bin, templates, "template", templates.Name(templates.Templates-1, templates.Templates))
	})
	functions := servers.LargeStore{Functions: 20_000, Versions: 1}
	b.Run("functions", func(b *testing.B) {
		benchStore(b, bin, functions, "store", functions.Name(functions.Functions-1, functions.Functions))
	})
}

// benchStore measures what is done with one store; group is the command that finds
// what it has, last the name of one of them.
func benchStore(b *testing.B, bin string, large servers.LargeStore, group, last string) {
	dir, out := filepath.Join(b.TempDir(), "large.git"), filepath.Join(b.TempDir(), "out")
	if err := large.Write(b.Context(), dir); err != nil {
		b.Fatal(err)
	}
	f := &benched{bin: bin, home: b.TempDir()}
	f.measure(b, "index", 1, "store", "index", dir, "--out", out, "--no-files")
	f.measure(b, "add-git", 1, "store", "add", "git", "file://"+dir)
	f = &benched{bin: bin, home: b.TempDir()}
	server := httptest.NewServer(http.FileServer(http.Dir(out)))
	b.Cleanup(server.Close)
	f.measure(b, "add-index", 1, "store", "add", "large", server.URL+"/")
	f.measure(b, "search", 9, group, "search", "resize", "queue")
	f.measure(b, "misspelt", 9, group, "search", "resise", "queeu")
	f.measure(b, "list", 9, group, "list")
	f.run(b, group, "show", last) // which fetches the files of a template
	f.measure(b, "show", 9, group, "show", last)
	f.measure(b, "version", 9, "version")
	f.measure(b, "update", 1, "store", "update")
}
