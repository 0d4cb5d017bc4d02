package managed_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/buildkit/client"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/managed"
	"fnb/internal/fixture"
)

func TestManagedLife(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, buildertest.Mirrors(t), "-cache=3000000000")
	if s := buildertest.State(t, m); s.Running || s.PID != 0 {
		t.Errorf("before it was started: %+v", s)
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Errorf("stopping what does not run: %v", err)
	}
	c := buildertest.StartManaged(t, m)
	s := buildertest.State(t, m)
	if !s.Running || s.Busy || s.Identity != "one" || s.Socket != m.Socket || s.PID == 0 {
		t.Errorf("running: %+v", s)
	}
	for path, want := range map[string]os.FileMode{m.Root: 0o700, filepath.Dir(m.Socket): 0o700, m.Socket: 0o600, filepath.Join(m.Root, "builder.log"): 0o600, filepath.Join(m.Root, "builder.json"): 0o600} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %v", path, fi.Mode(), err, want)
		}
	}
	workers, err := bare(t, m).ListWorkers(t.Context())
	if err != nil || len(workers) != 1 {
		t.Fatalf("%d workers, %v", len(workers), err)
	}
	policy := workers[0].GCPolicy
	if len(policy) != 4 || policy[3].MaxUsedSpace != 3e9 || !policy[3].All {
		t.Errorf("garbage collection is %+v", policy)
	}
	info, err := c.Info(t.Context())
	if err != nil || info.Snapshotter == "" || len(info.Platforms) == 0 || info.Executor != "oci" {
		t.Errorf("info %+v, %v", info, err)
	}
	if n, err := c.DiskUsage(t.Context()); err != nil || n < 0 {
		t.Errorf("disk usage %d, %v", n, err)
	}
	// The base image is found through the mirror of the settings.
	buildertest.Solve(t, c, builder.Request{Name: "f", Context: fixture.Files("Dockerfile", buildertest.Debian+"COPY Dockerfile /\n"), Output: builder.Output{Push: []string{buildertest.RegistryHost(t) + "/life/f:1"}}})
	if n, err := c.Prune(t.Context(), 0); err != nil || n == 0 {
		t.Errorf("pruned %d, %v", n, err)
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{filepath.Dir(filepath.Dir(m.Socket)), filepath.Join(m.Root, "builder.json"), m.BusyFile()} {
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s is left", left)
		}
	}
	if _, err := c.Info(t.Context()); !errors.As(err, new(*builder.UnreachableError)) {
		t.Errorf("after the end: %T %v", err, err)
	}
}

// Of many that start the builder at once, in this process and in others, one
// does, also while others ask for its state.
func TestElection(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, nil)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Stop(context.WithoutCancel(t.Context())) })
	errs := make(chan error)
	const goroutines, processes = 16, 4
	for range goroutines {
		go func() {
			_, err := m.Start(t.Context())
			errs <- err
		}()
	}
	for range processes {
		go func() {
			out, err := exec.CommandContext(t.Context(), exe, append([]string{buildertest.StartCommand}, m.Command...)...).CombinedOutput()
			if err != nil {
				err = errors.Join(err, errors.New(string(out)))
			}
			errs <- err
		}()
	}
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error)
	go func() {
		for ctx.Err() == nil {
			if _, err := m.State(); err != nil {
				asked <- err
				return
			}
		}
		asked <- nil
	}()
	for range goroutines + processes {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	cancel()
	if err := <-asked; err != nil {
		t.Error(err)
	}
	if log := fixture.Read(t, filepath.Join(m.Root, "builder.log")); strings.Contains(log, "another builder") {
		t.Errorf("two were started: %s", log)
	}
	first := buildertest.State(t, m)
	if _, err := m.Start(t.Context()); err != nil || buildertest.State(t, m) != first {
		t.Errorf("started again: %+v, %+v, %v", first, buildertest.State(t, m), err)
	}
}

func TestIdleExit(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, nil, "-idle=2s")
	c := buildertest.StartManaged(t, m)
	// Questions do not keep it up.
	fixture.Eventually(t, 30*time.Second, "it ends by itself", func() bool {
		_, _ = c.Info(t.Context())
		return !buildertest.State(t, m).Running
	})
	if _, err := os.Stat(m.Socket); err == nil {
		t.Error("the socket is left")
	}
	buildertest.Start(t, m)
}

// A busy builder of another identity is used as it is, an idle one is replaced.
func TestIdentity(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, nil)
	c := buildertest.StartManaged(t, m)
	old := buildertest.State(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	out := &fixture.Buffer{}
	go func() { done <- buildertest.Sleepy(ctx, t, c, out) }()
	fixture.Eventually(t, 30*time.Second, "the step runs", func() bool { return strings.Contains(out.String(), "sleeping") })
	other := buildertest.Again(t, m, "two", nil)
	if !buildertest.State(t, m).Busy {
		t.Error("a builder with a build is not busy")
	}
	if _, err := other.Start(t.Context()); err != nil || buildertest.State(t, m) != busy(old) {
		t.Errorf("the busy builder was replaced: %+v, %v", buildertest.State(t, m), err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	fixture.Eventually(t, 5*time.Second, "it is idle", func() bool { return !buildertest.State(t, m).Busy })
	buildertest.Start(t, other)
	if s := buildertest.State(t, m); s.PID == old.PID || s.Identity != "two" {
		t.Errorf("the idle builder stays: %+v", s)
	}
}

// Between two calls of somebody who is connected the builder is idle, and stays.
func TestConnect(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, nil)
	t.Cleanup(func() { _ = m.Stop(context.WithoutCancel(t.Context())) })
	c, err := m.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := buildertest.State(t, m)
	other := buildertest.Again(t, m, "two", nil)
	second, err := other.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := buildertest.State(t, m); got.PID != old.PID || got.Busy {
		t.Errorf("the builder that somebody uses was replaced: %+v", got)
	}
	if _, err := c.Info(t.Context()); err != nil {
		t.Error(err)
	}
	for _, c := range []*builder.Client{c, second} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	third, err := other.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = third.Close() }()
	if s := buildertest.State(t, m); s.PID == old.PID || s.Identity != "two" {
		t.Errorf("the builder that nobody uses stays: %+v", s)
	}
}

func TestStopWhileBuilding(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, nil)
	c := buildertest.StartManaged(t, m)
	done := make(chan error)
	out := &fixture.Buffer{}
	go func() { done <- buildertest.Sleepy(t.Context(), t, c, out) }()
	fixture.Eventually(t, 30*time.Second, "the step runs", func() bool { return buildertest.Sleeps(t) })
	began := time.Now()
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	var ue *builder.UnreachableError
	if err := <-done; !errors.As(err, &ue) {
		t.Errorf("the solve: %T %v", err, err)
	}
	if took := time.Since(began); took > managed.ShutdownTimeout+buildertest.Soon {
		t.Errorf("it took %s", took)
	}
	if buildertest.Sleeps(t) {
		t.Error("the step's process goes on")
	}
}

// What a killed builder leaves does not mislead, and its process's number is
// not used.
func TestAfterKill(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, nil)
	buildertest.Start(t, m)
	killed := buildertest.State(t, m).PID
	if err := os.WriteFile(m.BusyFile(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, 5*time.Second, "it is gone", func() bool { return !buildertest.State(t, m).Running })
	if s := buildertest.State(t, m); s.Busy || s.PID != 0 {
		t.Errorf("a dead builder: %+v", s)
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	buildertest.Start(t, m)
	if s := buildertest.State(t, m); !s.Running || s.Busy || s.PID == killed {
		t.Errorf("after the start: %+v", s)
	}
}

// The containers of a builder that was killed go on without it; the next one
// ends them, and lets go of their files.
func TestAbandonedContainers(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, nil)
	c := buildertest.StartManaged(t, m)
	done := make(chan error)
	go func() { done <- buildertest.Sleepy(t.Context(), t, c, &fixture.Buffer{}) }()
	fixture.Eventually(t, 30*time.Second, "the step runs", func() bool { return buildertest.Sleeps(t) })
	if err := syscall.Kill(buildertest.State(t, m).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("the solve went on")
	}
	fixture.Eventually(t, 10*time.Second, "the builder is gone", func() bool { return !buildertest.State(t, m).Running })
	if !strings.Contains(fixture.Read(t, "/proc/self/mounts"), m.Root+"/tmp/buildkit-secrets") {
		t.Error("the secret of its step is nowhere: it left nothing to be taken away")
	}
	buildertest.Start(t, m)
	fixture.Eventually(t, 10*time.Second, "the step's process is gone", func() bool { return !buildertest.Sleeps(t) })
	left, err := filepath.Glob(filepath.Join(m.Root, "runc-*", "executor", "*", "config.json"))
	if len(left) > 0 || err != nil {
		t.Errorf("left behind: %v %v", left, err)
	}
	if mounts := fixture.Read(t, "/proc/self/mounts"); strings.Contains(mounts, m.Root+"/") {
		t.Errorf("it is still mounted:\n%s", mounts)
	}
}

// A builder that has stopped answering is killed in the end.
func TestStopOfStopped(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, nil)
	buildertest.Start(t, m)
	pid := buildertest.State(t, m).PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if buildertest.State(t, m).Running {
		t.Error("it runs")
	}
}

// The builder forgets what was not used for longest when it knows too much. BuildKit
// looks after a build, once a minute.
func TestRecordLimit(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, nil, "-records=12")
	c := buildertest.StartManaged(t, m)
	plain := bare(t, m)
	request := func(i int) builder.Request {
		return builder.Request{Name: "f", Context: fixture.Files("handler", fmt.Sprint(i), "Dockerfile", "FROM scratch\nCOPY handler /\n"), Output: builder.Output{Store: t.TempDir()}}
	}
	for i := range 20 {
		buildertest.Solve(t, c, request(i))
	}
	count := func() int {
		records, err := plain.DiskUsage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(records)
	}
	fixture.Eventually(t, 90*time.Second, "records are forgotten", func() bool { return count() <= 12 })
	if res := buildertest.Solve(t, c, request(19)); res.CachedPart != 1 {
		t.Errorf("the last build was forgotten: %+v", res)
	}
	if res := buildertest.Solve(t, c, request(0)); res.CachedPart == 1 {
		t.Errorf("the first build was not forgotten: %+v", res)
	}
}

func busy(s managed.State) managed.State { s.Busy = true; return s }

// bare is BuildKit's own client of a builder.
func bare(t *testing.T, m managed.Builder) *client.Client {
	t.Helper()
	c, err := client.New(t.Context(), m.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
