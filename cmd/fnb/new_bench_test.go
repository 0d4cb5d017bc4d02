package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fnb/internal/servers"
)

// BenchmarkNew measures fnb new: from a warm cache, and cold from a git server on
// this machine against git clone --depth 1 of the same repository, by turns.
func BenchmarkNew(b *testing.B) {
	ctx := context.Background()
	bin := filepath.Join(b.TempDir(), "fnb")
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin, ".").CombinedOutput(); err != nil {
		b.Fatalf("%s", out)
	}
	g, err := servers.StartGit(ctx, servers.GitOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { g.Close() })
	var files strings.Builder
	files.WriteString("-- template/shout/template.yml --\nfprocess: cat\n-- template/shout/Dockerfile --\nFROM debian:bookworm-slim\nUSER 1\n-- template/shout/function/h --\nhi\n")
	for i := range 50 {
		fmt.Fprintf(&files, "-- docs/%d.md --\n%s\n", i, strings.Repeat(fmt.Sprintf("line %d\n", i*7919), 100))
	}
	if _, err := g.Commit(ctx, "templates", servers.Commit{Files: files.String(), Tag: "v1.0.0"}); err != nil {
		b.Fatal(err)
	}
	url := g.RepoURL("templates")
	timed := func(cache, name string, args ...string) time.Duration {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = b.TempDir()
		cmd.Env = append(os.Environ(), "HOME="+cache, "XDG_CACHE_HOME="+cache, "XDG_CONFIG_HOME="+cache, "FNB_CONFIG="+os.DevNull)
		start := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %s", args, out)
		}
		return time.Since(start)
	}
	median := func(all []time.Duration) float64 {
		slices.Sort(all)
		return all[len(all)/2].Seconds() * 1e3
	}
	newFunction := func(cache string) time.Duration {
		return timed(cache, bin, "new", "hello", "--quiet", "--lang", url+"//template/shout#v1.0.0")
	}
	b.Run("warm", func(b *testing.B) {
		cache := b.TempDir()
		newFunction(cache)
		var all []time.Duration
		for b.Loop() {
			all = append(all, newFunction(cache))
		}
		b.ReportMetric(median(all), "median-ms")
	})
	b.Run("cold", func(b *testing.B) {
		var ours, theirs []time.Duration
		for b.Loop() {
			ours = append(ours, newFunction(b.TempDir()))
			theirs = append(theirs, timed(b.TempDir(), "git", "clone", "-q", "--depth", "1", url, "clone"))
		}
		b.ReportMetric(median(ours), "median-ms")
		b.ReportMetric(median(theirs), "git-clone-ms")
		b.ReportMetric(median(ours)/median(theirs), "of-git-clone")
	})
}
