//go:build unix

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// BenchmarkVerifySigned measures fnb verify of an image that is signed, at a registry on this machine, by a key and by a policy.
// It takes turns with fnb version, which is how long fnb takes to start, and reports the size of fnb too.
func BenchmarkVerifySigned(b *testing.B) {
	dir := b.TempDir()
	bin := filepath.Join(dir, "fnb")
	run := func(program string, args ...string) time.Duration {
		cmd := exec.CommandContext(context.Background(), program, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir, "FNB_CONFIG="+os.DevNull)
		start := time.Now()
		out, err := cmd.CombinedOutput()
		wall := time.Since(start)
		if err != nil {
			b.Fatalf("%s %s: %v: %s", program, args, err, out)
		}
		return wall
	}
	wd, err := os.Getwd()
	fixture.Must(b, err)
	run("go", "build", "-C", wd, "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", bin, ".")
	info, err := os.Stat(bin)
	fixture.Must(b, err)
	ref := servers.RegistryFor(b, servers.RegistryOptions{}).Host + "/acme/hello:1"
	img, err := random.Image(1000, 3)
	fixture.Must(b, err)
	r, err := name.ParseReference(ref)
	fixture.Must(b, err)
	fixture.Must(b, remote.Write(r, img))
	run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key")
	run(bin, "sign", ref, "--key", "key")
	fixture.Must(b, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte("mode: enforce\nimages: {signed-by: key.pub}\n"), 0o600))
	for what, args := range map[string][]string{"key": {"--key", "key.pub"}, "policy": {"--policy", "policy.yaml"}} {
		b.Run(what, func(b *testing.B) {
			var walls, idle []float64
			for b.Loop() {
				idle = append(idle, run(bin, "version").Seconds()*1e3)
				walls = append(walls, run(bin, append([]string{"verify", ref}, args...)...).Seconds()*1e3)
			}
			slices.Sort(walls)
			slices.Sort(idle)
			b.ReportMetric(walls[len(walls)/2], "median-ms")
			b.ReportMetric(walls[len(walls)*95/100], "p95-ms")
			b.ReportMetric(idle[len(idle)/2], "start-ms")
			b.ReportMetric(float64(info.Size())/1e6, "fnb-MB")
			b.ReportMetric(0, "ns/op")
		})
	}
}
