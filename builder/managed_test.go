package builder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
)

// managed describes a managed builder in a temporary folder, whose program is
// this test.
func managed(t *testing.T, mirrors map[string]string, flags ...string) Managed {
	t.Helper()
	servers.Require(t, "buildkit", needs())
	dir, err := os.MkdirTemp("", "fnb-builder-") //nolint:usetesting // a test's own folder is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeState(t, dir) })
	m := Managed{Root: filepath.Join(dir, "root"), Socket: filepath.Join(dir, "run", "b.sock"), Identity: "one"}
	return m.with(t, m.Identity, mirrors, flags...)
}

// with is the builder with another identity.
func (m Managed) with(t *testing.T, identity string, mirrors map[string]string, flags ...string) Managed {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for _, host := range slices.Sorted(maps.Keys(mirrors)) {
		pairs = append(pairs, host+"="+mirrors[host])
	}
	m.Identity = identity
	m.Command = append([]string{
		exe, serveCommand, "-root=" + m.Root, "-socket=" + m.Socket,
		"-identity=" + identity, "-mirrors=" + strings.Join(pairs, ","),
	}, flags...)
	return m
}

// needs says what is missing to have a builder.
func needs() error {
	if os.Geteuid() != 0 {
		return errors.New("it needs root here")
	}
	if !Embedded {
		return errors.New("this build carries no builder")
	}
	for _, name := range []string{"runc", "crun"} {
		if _, err := lookPath(name); err == nil {
			return nil
		}
	}
	return errors.New("neither runc nor crun is installed")
}

func removeState(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// start starts a managed builder, and stops it at the end.
func start(t *testing.T, m Managed) {
	t.Helper()
	t.Cleanup(func() {
		if err := m.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if log, err := os.ReadFile(m.logFile()); err == nil && strings.Contains(string(log), "DATA RACE") {
			t.Errorf("%s", log)
		}
	})
	address, err := m.Start(t.Context())
	if err != nil {
		var ue *UnreachableError
		if errors.As(err, &ue) {
			t.Log(strings.Join(ue.Log, "\n"))
		}
		t.Fatal(err)
	}
	if address != m.Address() {
		t.Errorf("started at %s, want %s", address, m.Address())
	}
}

func startManaged(t *testing.T, m Managed) *Client {
	t.Helper()
	start(t, m)
	return dial(t, Options{Address: m.Address()})
}

func state(t *testing.T, m Managed) State {
	t.Helper()
	s, err := m.State()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestManagedLife(t *testing.T) {
	t.Parallel()
	m := managed(t, mirrors(t), "-cache=3000000000")
	if s := state(t, m); s.Running || s.PID != 0 {
		t.Errorf("before it was started: %+v", s)
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Errorf("stopping what does not run: %v", err)
	}
	c := startManaged(t, m)
	s := state(t, m)
	if !s.Running || s.Busy || s.Identity != "one" || s.Socket != m.Socket || s.PID == 0 {
		t.Errorf("running: %+v", s)
	}
	for path, want := range map[string]os.FileMode{m.Root: 0o700, filepath.Dir(m.Socket): 0o700, m.Socket: 0o600, m.logFile(): 0o600, m.stateFile(): 0o600} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %v", path, fi.Mode(), err, want)
		}
	}
	workers, err := c.c.ListWorkers(t.Context())
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
	solve(t, c, Request{Name: "f", Context: files("Dockerfile", debian+"COPY Dockerfile /\n"), Output: Output{Push: []string{registryHost(t) + "/life/f:1"}}})
	if n, err := c.Prune(t.Context(), 0); err != nil || n == 0 {
		t.Errorf("pruned %d, %v", n, err)
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{m.Socket, m.stateFile(), m.busyFile()} {
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s is left", left)
		}
	}
	if _, err := c.Info(t.Context()); !errors.As(err, new(*UnreachableError)) {
		t.Errorf("after the end: %T %v", err, err)
	}
}

// Of many that start the builder at once, in this process and in others, one
// does, also while others ask for its state.
func TestElection(t *testing.T) {
	t.Parallel()
	m := managed(t, nil)
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
			out, err := exec.CommandContext(t.Context(), exe, append([]string{startCommand}, m.Command...)...).CombinedOutput()
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
	if log := read(t, m.logFile()); strings.Contains(log, "another builder") {
		t.Errorf("two were started: %s", log)
	}
	first := state(t, m)
	if _, err := m.Start(t.Context()); err != nil || state(t, m) != first {
		t.Errorf("started again: %+v, %+v, %v", first, state(t, m), err)
	}
}

func TestIdleExit(t *testing.T) {
	t.Parallel()
	m := managed(t, nil, "-idle=2s")
	c := startManaged(t, m)
	// Questions do not keep it up.
	eventually(t, 30*time.Second, "it ends by itself", func() bool {
		_, _ = c.Info(t.Context())
		return !state(t, m).Running
	})
	if _, err := os.Stat(m.Socket); err == nil {
		t.Error("the socket is left")
	}
	start(t, m)
}

// A busy builder of another identity is used as it is, an idle one is replaced.
func TestIdentity(t *testing.T) {
	t.Parallel()
	m := managed(t, nil)
	c := startManaged(t, m)
	old := state(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	out := &syncBuffer{}
	go func() { done <- sleepy(ctx, t, c, out) }()
	eventually(t, 30*time.Second, "the step runs", func() bool { return strings.Contains(out.String(), "sleeping") })
	other := m.with(t, "two", nil)
	if !state(t, m).Busy {
		t.Error("a builder with a build is not busy")
	}
	if _, err := other.Start(t.Context()); err != nil || state(t, m) != old.busy() {
		t.Errorf("the busy builder was replaced: %+v, %v", state(t, m), err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	eventually(t, 5*time.Second, "it is idle", func() bool { return !state(t, m).Busy })
	start(t, other)
	if s := state(t, m); s.PID == old.PID || s.Identity != "two" {
		t.Errorf("the idle builder stays: %+v", s)
	}
}

// Between two calls of somebody who is connected the builder is idle, and stays.
func TestConnect(t *testing.T) {
	t.Parallel()
	m := managed(t, nil)
	t.Cleanup(func() { _ = m.Stop(context.WithoutCancel(t.Context())) })
	c, err := m.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := state(t, m)
	other := m.with(t, "two", nil)
	second, err := other.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := state(t, m); got.PID != old.PID || got.Busy {
		t.Errorf("the builder that somebody uses was replaced: %+v", got)
	}
	if _, err := c.Info(t.Context()); err != nil {
		t.Error(err)
	}
	for _, c := range []*Client{c, second} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	third, err := other.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = third.Close() }()
	if s := state(t, m); s.PID == old.PID || s.Identity != "two" {
		t.Errorf("the builder that nobody uses stays: %+v", s)
	}
}

func (s State) busy() State { s.Busy = true; return s }

// sleepy solves a step that says "sleeping" and sleeps.
func sleepy(ctx context.Context, t *testing.T, c *Client, out *syncBuffer) error {
	p, err := NewProgress(out, "plain", false)
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = c.Solve(ctx, Request{
		Name: "sleepy", Progress: p, NoCache: true, Output: Output{Store: t.TempDir()}, Secrets: map[string][]byte{"token": []byte("hidden")},
		Context: files("Dockerfile", small(t)+"COPY id /id\nRUN --mount=type=secret,id=token echo sleep\"\"ing; exec sleep 1234.$(cat /id)\n", "id", sleepID(t)),
	})
	return err
}

// sleepID tells the sleeping processes of the tests apart.
func sleepID(t *testing.T) string {
	t.Helper()
	id := ""
	for _, r := range t.Name() {
		id += string('0' + r%10)
	}
	return id
}

// sleepers are the processes of this test's steps.
func sleepers(t *testing.T) []int {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, p := range paths {
		if raw, err := os.ReadFile(p); err == nil && string(raw) == "sleep\x001234."+sleepID(t)+"\x00" {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

func sleeps(t *testing.T) bool { t.Helper(); return len(sleepers(t)) > 0 }

func TestStopWhileBuilding(t *testing.T) {
	t.Parallel()
	m := managed(t, nil)
	c := startManaged(t, m)
	done := make(chan error)
	out := &syncBuffer{}
	go func() { done <- sleepy(t.Context(), t, c, out) }()
	eventually(t, 30*time.Second, "the step runs", func() bool { return sleeps(t) })
	began := time.Now()
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	var ue *UnreachableError
	if err := <-done; !errors.As(err, &ue) {
		t.Errorf("the solve: %T %v", err, err)
	}
	if took := time.Since(began); took > shutdownTimeout+soon {
		t.Errorf("it took %s", took)
	}
	if sleeps(t) {
		t.Error("the step's process goes on")
	}
}

// What a killed builder leaves does not mislead, and its process's number is
// not used.
func TestAfterKill(t *testing.T) {
	t.Parallel()
	m := managed(t, nil)
	start(t, m)
	killed := state(t, m).PID
	if err := os.WriteFile(m.busyFile(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "it is gone", func() bool { return !state(t, m).Running })
	if s := state(t, m); s.Busy || s.PID != 0 {
		t.Errorf("a dead builder: %+v", s)
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	start(t, m)
	if s := state(t, m); !s.Running || s.Busy || s.PID == killed {
		t.Errorf("after the start: %+v", s)
	}
}

// The containers of a builder that was killed go on without it; the next one
// ends them, and lets go of their files.
func TestAbandonedContainers(t *testing.T) {
	t.Parallel()
	m := managed(t, nil)
	c := startManaged(t, m)
	done := make(chan error)
	go func() { done <- sleepy(t.Context(), t, c, &syncBuffer{}) }()
	eventually(t, 30*time.Second, "the step runs", func() bool { return sleeps(t) })
	if err := syscall.Kill(state(t, m).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("the solve went on")
	}
	eventually(t, 10*time.Second, "the builder is gone", func() bool { return !state(t, m).Running })
	if !strings.Contains(read(t, "/proc/self/mounts"), m.Root+"/tmp/buildkit-secrets") {
		t.Error("the secret of its step is nowhere: it left nothing to be taken away")
	}
	start(t, m)
	eventually(t, 10*time.Second, "the step's process is gone", func() bool { return !sleeps(t) })
	left, err := filepath.Glob(filepath.Join(m.Root, "runc-*", "executor", "*", "config.json"))
	if len(left) > 0 || err != nil {
		t.Errorf("left behind: %v %v", left, err)
	}
	if mounts := read(t, "/proc/self/mounts"); strings.Contains(mounts, m.Root+"/") {
		t.Errorf("it is still mounted:\n%s", mounts)
	}
}

// A builder that has stopped answering is killed in the end.
func TestStopOfStopped(t *testing.T) {
	t.Parallel()
	m := managed(t, nil)
	start(t, m)
	pid := state(t, m).PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state(t, m).Running {
		t.Error("it runs")
	}
}

// The builder forgets what was not used for longest when it knows too much. BuildKit
// looks after a build, once a minute.
func TestRecordLimit(t *testing.T) {
	t.Parallel()
	c := startManaged(t, managed(t, nil, "-records=12"))
	request := func(i int) Request {
		return Request{Name: "f", Context: files("handler", fmt.Sprint(i), "Dockerfile", "FROM scratch\nCOPY handler /\n"), Output: Output{Store: t.TempDir()}}
	}
	for i := range 20 {
		solve(t, c, request(i))
	}
	count := func() int {
		records, err := c.c.DiskUsage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(records)
	}
	eventually(t, 90*time.Second, "records are forgotten", func() bool { return count() <= 12 })
	if res := solve(t, c, request(19)); res.CachedPart != 1 {
		t.Errorf("the last build was forgotten: %+v", res)
	}
	if res := solve(t, c, request(0)); res.CachedPart == 1 {
		t.Errorf("the first build was not forgotten: %+v", res)
	}
}
