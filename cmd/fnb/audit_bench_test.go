//go:build unix

package main

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkAudit measures fnb audit of 300 functions, of 100 packages of npm and 30 of PyPI
// each, against databases as large as OSV's: 220,000 advisories of npm and 30,000 of PyPI. It
// reports the first run, which reads all of them, and later ones, with the memory of each.
func BenchmarkAudit(b *testing.B) {
	dir := b.TempDir()
	bin := filepath.Join(b.TempDir(), "fnb")
	run := func(wants int, args ...string) (wall time.Duration, mb float64) {
		cmd := exec.CommandContext(context.Background(), bin, args...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir, "FNB_CONFIG="+os.DevNull)
		start := time.Now()
		out, err := cmd.CombinedOutput()
		wall = time.Since(start)
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != wants {
			b.Fatalf("fnb %s: %v: %.2000s", args, err, out)
		}
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			mb = float64(usage.Maxrss) * 1024 / 1e6 // in KiB, as Linux says it
		}
		return wall, mb
	}
	if out, err := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-o", bin, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	size := writeAdvisories(b, filepath.Join(dir, "db", "osv-scalibr", "npm", "all.zip"), "npm", 220_000) +
		writeAdvisories(b, filepath.Join(dir, "db", "osv-scalibr", "PyPI", "all.zip"), "PyPI", 30_000)
	stack := auditedStack(b, dir)
	audit := func() (time.Duration, float64) {
		return run(exitFindings, "audit", "-f", stack, "--offline", "--db", filepath.Join(dir, "db"), "--json", "-q")
	}
	first, firstMB := audit()
	var wall []time.Duration
	var mb []float64
	for b.Loop() {
		w, m := audit()
		wall, mb = append(wall, w), append(mb, m)
	}
	slices.Sort(wall)
	b.ReportMetric(float64(size)/1e6, "archives-MB")
	b.ReportMetric(first.Seconds(), "first-s")
	b.ReportMetric(firstMB, "first-MB")
	b.ReportMetric(wall[len(wall)/2].Seconds(), "median-s")
	b.ReportMetric(slices.Max(mb), "most-MB")
}

// writeAdvisories writes an archive of advisories about packages p0 to p19999.
func writeAdvisories(b *testing.B, file, ecosystem string, n int) int64 {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		b.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	buffered := bufio.NewWriterSize(f, 1<<20)
	z := zip.NewWriter(buffered)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	source := rand.NewChaCha8([32]byte{1})
	noise := make([]byte, 750)
	for i := range n {
		_, _ = source.Read(noise) // which cannot fail
		w, err := z.Create(fmt.Sprintf("GHSA-%06d.json", i))
		if err != nil {
			b.Fatal(err)
		}
		fmt.Fprintf(w, `{"id":"GHSA-%06d","modified":"2099-01-01T00:00:00Z","aliases":["CVE-2026-%06d"],"details":"%s","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],`+
			`"affected":[{"package":{"ecosystem":"%s","name":"p%d"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.%d.0"}]}]}]}`, i, i, hex.EncodeToString(noise), ecosystem, i%20_000, i%100)
	}
	if err := errors.Join(z.Close(), buffered.Flush()); err != nil {
		b.Fatal(err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// comma is before all but the first.
func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// auditedStack is a stack of 300 functions with locks.
func auditedStack(b *testing.B, dir string) string {
	b.Helper()
	var stack strings.Builder
	stack.WriteString("version: 1.0\nfunctions:\n")
	for f := range 300 {
		fmt.Fprintf(&stack, "  f%d: {lang: node, handler: ./f%d, image: \"f%d:1\"}\n", f, f, f)
		var npm, pypi strings.Builder
		pypi.WriteString(`{"default":{`)
		npm.WriteString(`{"name":"f","lockfileVersion":3,"packages":{"":{"name":"f"}`)
		for p := range 100 {
			fmt.Fprintf(&npm, `,"node_modules/p%d":{"version":"1.%d.0","resolved":"https://example.com/p.tgz","integrity":"sha512-x"}`, (f*37+p*61)%30_000, 90+p%20)
		}
		npm.WriteString("}}")
		for p := range 30 {
			fmt.Fprintf(&pypi, `%s"p%d":{"version":"==1.%d.0"}`, comma(p), (f*41+p*67)%30_000, 90+p%20)
		}
		pypi.WriteString("}}")
		writeBench(b, filepath.Join(dir, fmt.Sprintf("f%d/package-lock.json", f)), npm.String())
		writeBench(b, filepath.Join(dir, fmt.Sprintf("f%d/Pipfile.lock", f)), pypi.String())
	}
	file := filepath.Join(dir, "stack.yaml")
	writeBench(b, file, stack.String())
	return file
}
