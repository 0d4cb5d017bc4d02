package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fnb/internal/servers"
	"fnb/rebase/rebasetest"
	"fnb/registry"
	"fnb/schema/rebaseplan"
)

// fleetSize is how many functions BenchmarkFleet rebases, each for two platforms.
const fleetSize = 300

// BenchmarkFleet rebases a fleet in a registry of this machine, as fnb rebase does it: plans, carries the plan
// out, takes it back, and then carries it out with a process that is killed 20 times.
func BenchmarkFleet(b *testing.B) {
	bin := filepath.Join(b.TempDir(), "fnb")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-o", bin, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for b.Loop() {
		f := &benchFleet{bin: bin, dir: b.TempDir(), reg: servers.RegistryFor(b, servers.RegistryOptions{Proxy: true})}
		c, err := registry.New(registry.Options{Anonymous: true})
		if err != nil {
			b.Fatal(err)
		}
		pushed, err := rebasetest.Push(b.Context(), c, f.reg.Host+"/team", fleetSize)
		if err == nil {
			err = os.WriteFile(filepath.Join(f.dir, "list"), []byte(strings.Join(pushed.Images, "\n")), 0o600)
		}
		if err == nil {
			err = pushed.Patch(b.Context(), "3.0.15")
		}
		if err != nil {
			b.Fatal(err)
		}
		f.reg.Requests()
		plan := f.run(b, "plan", "rebase", "--base", pushed.Base, "--from", "list", "--plan", "plan.json")
		b.ReportMetric(float64(len(f.reg.Requests()))/fleetSize/2, "plan-requests/image")
		apply := f.run(b, "apply", "rebase", "--apply", "plan.json", "--smoke", "none", "--attest", "none")
		each := float64(len(f.reg.Requests())) / fleetSize / 2
		b.ReportMetric(each, "apply-requests/image")
		undo := f.run(b, "undo", "rebase", "--undo", "plan.json")
		f.reg.Requests()
		evident := f.run(b, "apply-with-evidence", "rebase", "--apply", "plan.json", "--smoke", "none")
		b.ReportMetric(float64(len(f.reg.Requests()))/fleetSize/2, "apply-with-evidence-requests/image")
		f.run(b, "undo-again", "rebase", "--undo", "plan.json")
		if plan > 20*time.Second || max(apply, evident) > time.Minute || undo > 30*time.Second || each > 16 || f.peak > 150<<10 {
			b.Errorf("plan %s, apply %s, with evidence %s, undo %s, %.1f requests an image, %d kB", plan, apply, evident, undo, each, f.peak)
		}
		b.ReportMetric(float64(f.peak)/1024, "MB-peak")
		f.killed(b, apply)
	}
}

type benchFleet struct {
	bin, dir string
	reg      *servers.Registry
	peak     int64 // kilobytes
}

func (f *benchFleet) command(b *testing.B, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(b.Context(), f.bin, args...)
	cmd.Dir = f.dir
	cmd.Env = append(os.Environ(), "HOME="+f.dir, "XDG_CACHE_HOME="+f.dir, "XDG_CONFIG_HOME="+f.dir, "FNB_CONFIG="+os.DevNull)
	return cmd
}

func (f *benchFleet) run(b *testing.B, what string, args ...string) time.Duration {
	b.Helper()
	cmd := f.command(b, args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	start := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended, peak := make(chan struct{}), make(chan int64)
	go func() { peak <- peakMemory(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	took := time.Since(start)
	close(ended)
	f.peak = max(f.peak, <-peak)
	if err != nil {
		b.Fatalf("fnb %s: %v\n%s", strings.Join(args, " "), err, log.String())
	}
	b.ReportMetric(took.Seconds(), "s-"+what)
	return took
}

// killed carries the plan out once more, by a process that is killed at 20 moments: a tag names the old image
// or the new one at each of them, and no function that is done is begun again.
func (f *benchFleet) killed(b *testing.B, whole time.Duration) {
	b.Helper()
	plan, err := rebaseplan.Read(filepath.Join(f.dir, "plan.json"), versionOf(b, f))
	if err != nil {
		b.Fatal(err)
	}
	for range 20 {
		done := f.done(b, plan)
		cmd := f.command(b, "rebase", "--apply", "plan.json", "--smoke", "none")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		time.Sleep(time.Duration(rand.N(int64(whole / 12))))
		if err := errors.Join(cmd.Process.Kill()); err != nil && !errors.Is(err, os.ErrProcessDone) {
			b.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		f.between(b, plan)
		for _, r := range f.reg.Requests() {
			name, tag, ok := strings.Cut(strings.TrimPrefix(r.Path, "/v2/"), "/manifests/")
			if ok && r.Method == "PUT" && tag == "1" && slices.Contains(done, f.reg.Host+"/"+name) {
				b.Errorf("%s was done, and is done again", name)
			}
		}
	}
	f.run(b, "rest", "rebase", "--apply", "plan.json", "--smoke", "none")
	if done := f.done(b, plan); len(done) != fleetSize {
		b.Errorf("%d of %d are done", len(done), fleetSize)
	}
}

func versionOf(b *testing.B, f *benchFleet) string {
	b.Helper()
	raw, err := os.ReadFile(filepath.Join(f.dir, "plan.json"))
	var p struct {
		FNB string `json:"fnb"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil {
		b.Fatal(err)
	}
	return p.FNB
}

// last is what the journal says of each image.
func (f *benchFleet) last(b *testing.B, plan *rebaseplan.Plan) map[string]rebaseplan.Entry {
	b.Helper()
	j, err := rebaseplan.OpenJournal(filepath.Join(f.dir, "plan.json"), plan)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	all := map[string]rebaseplan.Entry{}
	for _, i := range plan.Images {
		if e, ok := j.Last(i.Reference()); ok {
			all[i.Repository] = e
		}
	}
	return all
}

func (f *benchFleet) done(b *testing.B, plan *rebaseplan.Plan) (repositories []string) {
	b.Helper()
	for repository, e := range f.last(b, plan) {
		if e.State == rebaseplan.Done {
			repositories = append(repositories, repository)
		}
	}
	return repositories
}

func (f *benchFleet) between(b *testing.B, plan *rebaseplan.Plan) {
	b.Helper()
	c, err := registry.New(registry.Options{Anonymous: true})
	if err != nil {
		b.Fatal(err)
	}
	last := f.last(b, plan)
	for i := range plan.Images {
		image := &plan.Images[i]
		d, err := c.Head(b.Context(), image.Name())
		if err != nil {
			b.Fatal(err)
		}
		if is := d.Digest.String(); is != image.Digest && is != last[image.Repository].Becomes {
			b.Error(fmt.Errorf("%s is %s, and neither %s nor what it becomes", image.Name(), is, image.Digest))
		}
	}
}
