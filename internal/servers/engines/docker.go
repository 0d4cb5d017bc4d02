package engines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/sys/mount"

	"fnb/internal/servers"
)

// A Docker is a Docker Engine without a bridge. It keeps images by its graph drivers, as all engines did before 29.
type Docker struct {
	Socket string

	root, dir string
	daemons   []*daemon // containerd and dockerd
}

// StartDocker starts an engine.
func StartDocker(ctx context.Context) (_ *Docker, err error) {
	root, err := programs(ctx)
	if err != nil {
		return nil, err
	}
	d := &Docker{root: root}
	if d.dir, err = os.MkdirTemp("", "fnb-docker-"); err != nil {
		return nil, err
	}
	d.Socket = filepath.Join(d.dir, "d.sock")
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// DockerFor starts an engine for one test.
func DockerFor(tb testing.TB) *Docker {
	tb.Helper()
	d, err := StartDocker(tb.Context())
	servers.Require(tb, "engines", err)
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

// Address is the engine as a builder.
func (d *Docker) Address() string { return "docker://" + d.Socket }

// Command runs the client of the engine.
func (d *Docker) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(d.root, "usr/bin/docker"), args...)
	cmd.Env = append(os.Environ(), d.environ()...)
	return cmd
}

func (d *Docker) environ() []string {
	return environ(d.root, "DOCKER_HOST=unix://"+d.Socket, "DOCKER_CONFIG="+filepath.Join(d.dir, "config"))
}

// Client makes a folder for PATH in which docker is a client of this engine.
func (d *Docker) Client() (dir string, err error) {
	return client(filepath.Join(d.dir, "client"), filepath.Join(d.root, "usr/bin/docker"), d.environ())
}

// Ctr runs the client of the engine's containerd, in a namespace that is not the engine's.
func (d *Docker) Ctr(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(d.root, "usr/bin/ctr"), append([]string{"--address", d.containerd(), "--namespace", "fnb"}, args...)...)
	cmd.Env = append(os.Environ(), d.environ()...)
	return cmd
}

// Buildkitd starts a buildkitd in a container of the name, with this machine's network.
func (d *Docker) Buildkitd(ctx context.Context, name string, mirrors map[string]string) error {
	return buildkitd(ctx, d.Command, filepath.Join(d.dir, name), mirrors, "--security-opt", "systempaths=unconfined")
}

// Kill ends the engine at once, as an update of it or a crash does.
func (d *Docker) Kill() error { return d.daemons[1].kill() }

func (d *Docker) containerd() string { return filepath.Join(d.dir, "c.sock") }

// start starts containerd before dockerd, which gives one of its own no more than 15 seconds.
func (d *Docker) start(ctx context.Context) error {
	config := filepath.Join(d.dir, "containerd.toml")
	text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		filepath.Join(d.dir, "root"), filepath.Join(d.dir, "state"), d.containerd())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	ready := func() error { return d.Ctr(ctx, "version").Run() }
	if err := d.startDaemon(ctx, ready, "usr/bin/containerd", "--config", config); err != nil {
		return err
	}
	ready = func() error { return d.Command(ctx, "version").Run() }
	return d.startDaemon(ctx, ready, "usr/sbin/dockerd", "--containerd", d.containerd(),
		"--data-root", filepath.Join(d.dir, "data"), "--exec-root", filepath.Join(d.dir, "exec"), "--pidfile", filepath.Join(d.dir, "pid"),
		"--host", "unix://"+d.Socket, "--bridge=none", "--iptables=false", "--ip6tables=false")
}

func (d *Docker) startDaemon(ctx context.Context, ready func() error, program string, args ...string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(d.root, program), args...)
	cmd.Env = append(os.Environ(), d.environ()...)
	m, err := startDaemon(cmd, filepath.Join(d.dir, filepath.Base(program)+".log"))
	if err != nil {
		return err
	}
	d.daemons = append(d.daemons, m)
	return m.await(ready)
}

// Close ends the engine, its containers too.
func (d *Docker) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	switch {
	case len(d.daemons) == 2 && !d.daemons[1].gone():
		removeContainers(ctx, d.Command)
	case len(d.daemons) > 0: // its containers outlive it
		tasks, _ := d.Ctr(ctx, "--namespace", "moby", "tasks", "ls", "--quiet").Output()
		for id := range strings.FieldsSeq(string(tasks)) {
			_ = d.Ctr(ctx, "--namespace", "moby", "tasks", "rm", "--force", id).Run() // it may have ended
		}
	}
	for i := len(d.daemons) - 1; i >= 0; i-- {
		d.daemons[i].stop()
	}
	return errors.Join(mount.RecursiveUnmount(d.dir), os.RemoveAll(d.dir)) // it leaves a folder, and all if it was killed
}
