package engines

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
)

// A Docker is a Docker Engine without a bridge. It keeps images by its graph drivers, as all engines did before 29.
type Docker struct {
	Socket string

	root, dir string
	cmd       *exec.Cmd
	ended     chan struct{}
}

// DockerFor starts an engine for one test.
func DockerFor(tb testing.TB) *Docker {
	tb.Helper()
	root, err := programs(tb.Context())
	servers.Require(tb, "engines", err)
	d := &Docker{root: root, ended: make(chan struct{})}
	if d.dir, err = os.MkdirTemp("", "fnb-docker-"); err != nil { //nolint:usetesting // a test's own folder is too long for its sockets
		tb.Fatal(err)
	}
	d.Socket = filepath.Join(d.dir, "d.sock")
	tb.Cleanup(func() {
		if err := d.close(); err != nil {
			tb.Error(err)
		}
	})
	if err := d.start(tb.Context()); err != nil {
		servers.Require(tb, "engines", err)
	}
	return d
}

// Address is the engine as a builder.
func (d *Docker) Address() string { return "docker://" + d.Socket }

// Command runs the client of the engine.
func (d *Docker) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(d.root, "usr/bin/docker"), append([]string{"--host", "unix://" + d.Socket}, args...)...)
	cmd.Env = environ(d.root, "DOCKER_CONFIG="+filepath.Join(d.dir, "config"))
	return cmd
}

// Ctr runs the client of the engine's containerd, in a namespace that is not the engine's.
func (d *Docker) Ctr(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(d.root, "usr/bin/ctr"), append([]string{"--address", filepath.Join(d.dir, "exec/containerd/containerd.sock"), "--namespace", "fnb"}, args...)...)
	cmd.Env = environ(d.root)
	return cmd
}

func (d *Docker) start(ctx context.Context) error {
	log, err := os.Create(filepath.Join(d.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the engine has its own
	d.cmd = exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(d.root, "usr/sbin/dockerd"),
		"--data-root", filepath.Join(d.dir, "data"), "--exec-root", filepath.Join(d.dir, "exec"), "--pidfile", filepath.Join(d.dir, "pid"),
		"--host", "unix://"+d.Socket, "--bridge=none", "--iptables=false", "--ip6tables=false")
	d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = environ(d.root), log, log
	if err := d.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(d.ended)
		_ = d.cmd.Wait() // its log says more
	}()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		out, err := d.Command(ctx, "version").CombinedOutput()
		if err == nil {
			return nil
		}
		select {
		case <-d.ended:
		default:
			if time.Now().Before(end) {
				continue
			}
		}
		said, _ := os.ReadFile(log.Name()) // it is shown as far as it can be read
		return fmt.Errorf("starting dockerd: %w\n%s\n%s", err, out, said)
	}
}

func (d *Docker) close() error {
	if d.cmd != nil && d.cmd.Process != nil {
		_ = d.cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
		select {
		case <-d.ended:
		case <-time.After(time.Minute):
			_ = d.cmd.Process.Kill() // the same
			<-d.ended
		}
	}
	_ = syscall.Unmount(filepath.Join(d.dir, "data"), syscall.MNT_DETACH) // what a driver has mounted there, if it has
	return os.RemoveAll(d.dir)
}
