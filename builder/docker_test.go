package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
)

// dockerFor starts a Docker Engine on a socket of its own, without a network.
func dockerFor(t *testing.T) string {
	t.Helper()
	bin, err := lookPath("dockerd")
	if err == nil {
		err = needs()
	}
	servers.Require(t, "docker", err)
	dir, err := os.MkdirTemp("", "fnb-docker-") //nolint:usetesting // a test's own folder is too long for its sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeState(t, dir) })
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	socket := filepath.Join(dir, "d.sock")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), bin,
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
		"--host", "unix://"+socket, "--bridge=none", "--iptables=false", "--ip6tables=false")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // its log says more
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		_ = syscall.Unmount(filepath.Join(dir, "data"), syscall.MNT_DETACH)
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := Dial(t.Context(), Options{Address: "docker://" + socket})
		if err == nil {
			_ = c.Close()
			return "docker://" + socket
		}
		select {
		case <-ended:
			servers.Require(t, "docker", fmt.Errorf("it ended: %w\n%s", err, read(t, log.Name())))
		default:
		}
		if time.Now().After(end) {
			servers.Require(t, "docker", fmt.Errorf("%w\n%s", err, read(t, log.Name())))
		}
	}
}

// A Docker Engine with graph drivers has neither merge, nor OCI layouts, nor
// exporters for images. What it can do works; what not says so.
func TestDockerEngine(t *testing.T) {
	t.Parallel()
	base := small(t)
	c := dial(t, Options{Address: dockerFor(t)})
	info, err := c.Info(t.Context())
	if err != nil || len(info.Platforms) == 0 {
		t.Errorf("%+v %v", info, err)
	}
	w := newWatchdog(t, "linux/amd64")
	req := Request{
		Name: "f", Platforms: threePlatforms[:1], Watchdog: w.Watchdog,
		Context: files("Dockerfile", base+"COPY sub /sub\n", "sub/handler*", "x"),
	}
	dir := rootFS(t, c, req)
	if got := read(t, dir, "usr/bin/fwatchdog"); got != program("linux/amd64") {
		t.Errorf("the watchdog is %q", got)
	}
	if fi, err := os.Stat(filepath.Join(dir, "usr/bin/fwatchdog")); err != nil || fi.Mode() != 0o755 {
		t.Errorf("%v %v", fi, err)
	}
	if got := read(t, dir, "sub/handler"); got != "x" {
		t.Errorf("the handler is %q", got)
	}
	// The large way, with a change that keeps size and time.
	for _, text := range []string{"AAAA", "BBBB"} {
		large := req
		large.Context = padded(files("Dockerfile", "FROM scratch\nCOPY handler /\n", "handler", text))
		if got := read(t, rootFS(t, c, large), "handler"); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
	open := func() (io.WriteCloser, error) { return os.Create(filepath.Join(t.TempDir(), "x.tar")) }
	refused := make(chan error)
	outputs := []Output{{Store: t.TempDir()}, {Push: []string{registryHost(t) + "/a/b:1"}}, {OCI: open}, {Docker: open}}
	for _, out := range outputs {
		req := req
		req.Output = out
		go func() {
			_, err := c.Solve(t.Context(), req)
			refused <- err
		}()
	}
	for range outputs {
		err := <-refused
		var ee *ExportError
		if !errors.As(err, &ee) || !ee.Unsupported || !strings.Contains(ee.Problem, "this builder cannot write images itself") {
			t.Errorf("%T %v", err, err)
		}
	}
	// This engine has no network for a step, and does not say which step failed.
	req.Context, req.Output = files("Dockerfile", base+"RUN true\n"), Output{}
	_, err = c.Solve(t.Context(), req)
	var se *SolveError
	if !errors.As(err, &se) || !strings.Contains(se.Problem, "network bridge not found") || !strings.Contains(se.Step, "RUN true") {
		t.Errorf("a failing step: %T %v; %+v", err, err, se)
	}
}
