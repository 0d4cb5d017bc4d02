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
)

// BenchmarkChangedSince measures fnb build --changed-since against git diff --name-only, by
// turns, in repositories of 20,000 files: beside the functions or in them, with no function
// changed and with one.
func BenchmarkChangedSince(b *testing.B) {
	bin := filepath.Join(b.TempDir(), "fnb")
	cache := b.TempDir()
	run := func(dir, name string, args ...string) (string, time.Duration, time.Duration) {
		cmd := exec.CommandContext(context.Background(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+cache, "XDG_CACHE_HOME="+cache, "XDG_CONFIG_HOME="+cache, "FNB_CONFIG="+os.DevNull)
		start := time.Now()
		out, err := cmd.CombinedOutput()
		wall := time.Since(start)
		if err != nil {
			b.Fatalf("%s %s: %s", name, args, out)
		}
		return string(out), wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	run(".", "go", "build", "-trimpath", "-o", bin, ".")
	for _, shape := range []struct {
		name                    string
		functions, each, beside int
	}{{"beside", 20, 1, 20_000}, {"inside", 200, 100, 0}} {
		dir := manyFiles(b, shape.functions, shape.each, shape.beside)
		for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-qm", "one"}} {
			run(dir, "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		}
		for _, want := range []string{"", "f1\n"} {
			name := shape.name + "/none"
			if want != "" {
				name = shape.name + "/one"
				writeBench(b, filepath.Join(dir, "h/f1/sub/file1"), "changed\n")
			}
			time.Sleep(time.Second) // files as old as git's index are read by git
			run(dir, "git", "add", ".")
			b.Run(name, func(b *testing.B) {
				var fnb, git, work, gitWork []time.Duration
				for b.Loop() {
					_, wall, used := run(dir, "git", "diff", "--name-only", "HEAD")
					git, gitWork = append(git, wall), append(gitWork, used)
					out, wall, used := run(dir, bin, "build", "--changed-since", "HEAD")
					fnb, work = append(fnb, wall), append(work, used)
					if out != want {
						b.Fatalf("%q, want %q", out, want)
					}
				}
				middle := func(all []time.Duration) float64 {
					slices.Sort(all)
					return all[len(all)/2].Seconds() * 1e3
				}
				b.ReportMetric(middle(fnb), "median-ms")
				b.ReportMetric(middle(git), "git-diff-ms")
				b.ReportMetric(middle(fnb)/middle(git), "of-git-diff")
				b.ReportMetric(middle(work)/middle(gitWork), "cpu-of-git-diff")
			})
		}
	}
}

// manyFiles is a project of functions with as many files each, and others beside them.
func manyFiles(b *testing.B, functions, each, beside int) string {
	b.Helper()
	dir := b.TempDir()
	var stack strings.Builder
	stack.WriteString("functions:\n")
	for f := 1; f <= functions; f++ {
		fmt.Fprintf(&stack, "  f%d: {lang: dockerfile, handler: ./h/f%d, image: 'example.com/f%d:1', watchdog: none}\n", f, f, f)
		writeBench(b, filepath.Join(dir, fmt.Sprintf("h/f%d/Dockerfile", f)), "FROM scratch\nCOPY . /\n")
		for i := 1; i <= each; i++ {
			writeBench(b, filepath.Join(dir, fmt.Sprintf("h/f%d/sub/file%d", f, i)), fmt.Sprintln(f, i))
		}
	}
	for i := range beside {
		writeBench(b, filepath.Join(dir, fmt.Sprintf("other/%d/o%d", i%100, i)), fmt.Sprintln(i))
	}
	writeBench(b, filepath.Join(dir, "stack.yaml"), stack.String())
	return dir
}

func writeBench(b *testing.B, name, text string) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
}
