package engines

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/sys/mount"

	"fnb/internal/servers"
	"fnb/internal/servers/checkers"
	"fnb/internal/servers/network"
)

// A Docker is a Docker Engine in a network of its own, with its bridge there. Nothing leads out but what its options name.
type Docker struct {
	Socket  string
	Version string // as the engine's makers count, such as 20.10.24

	root, bin, dir string    // Debian's programs; those that run; what is the engine's own
	daemons        []*daemon // containerd and dockerd
	ways           []net.Listener
}

// DockerOptions choose an engine; the zero value is Debian's, which keeps images by its graph drivers, as all did before 29.
type DockerOptions struct {
	Today bool     // today's, which "make engines" compiles: containerd keeps its images
	Hub   string   // host:port that answers for Docker Hub
	Reach []string // host:port on this machine's loopback that lead there from the engine's network, too
}

// StartDocker starts an engine.
func StartDocker(ctx context.Context, opts DockerOptions) (_ *Docker, err error) {
	root, err := programs(ctx)
	if err != nil {
		return nil, err
	}
	d := &Docker{root: root, bin: filepath.Join(root, "usr/bin")}
	if opts.Today {
		if d.bin, d.Version, err = today(); err != nil {
			return nil, err
		}
	}
	if d.dir, err = os.MkdirTemp("", "fnb-docker-"); err != nil {
		return nil, err
	}
	d.Socket = filepath.Join(d.dir, "d.sock")
	if err := d.start(ctx, opts); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// today is the folder of the programs of today's engine, and its version.
func today() (bin, version string, err error) {
	if bin, err = checkers.Docker(); err != nil {
		return "", "", err
	}
	info, err := buildinfo.ReadFile(filepath.Join(bin, "dockerd"))
	if err != nil {
		return "", "", err
	}
	return bin, "moby " + strings.TrimPrefix(info.Main.Version, "v"), nil
}

// DockerFor starts an engine for one test.
func DockerFor(tb testing.TB, opts DockerOptions) *Docker {
	tb.Helper()
	d, err := StartDocker(tb.Context(), opts)
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
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "ctr"), append([]string{"--address", d.containerd(), "--namespace", "fnb"}, args...)...)
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

// start starts containerd before dockerd, which gives one of its own no more than 15 seconds. Both are in one new network.
func (d *Docker) start(ctx context.Context, opts DockerOptions) error {
	config := filepath.Join(d.dir, "containerd.toml")
	text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		filepath.Join(d.dir, "root"), filepath.Join(d.dir, "state"), d.containerd())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	ready := func() error { return d.Ctr(ctx, "version").Run() }
	if err := d.startDaemon(ctx, ready, "unshare", "--net", filepath.Join(d.bin, "containerd"), "--config", config); err != nil {
		return err
	}
	pid := d.daemons[0].cmd.Process.Pid // unshare has become containerd
	within := []string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", pid)}
	if err := run(exec.CommandContext(ctx, within[0], within[1], "ip", "link", "set", "lo", "up")); err != nil {
		return err
	}
	for _, host := range opts.Reach {
		way, err := network.Reach(pid, host, func(error) {}) // who asked sees its connection end
		if err != nil {
			return err
		}
		d.ways = append(d.ways, way)
	}
	dockerd := filepath.Join(d.root, "usr/sbin/dockerd")
	if opts.Today {
		dockerd = filepath.Join(d.bin, "dockerd")
	}
	args := append(within, dockerd, "--containerd", d.containerd(),
		"--data-root", filepath.Join(d.dir, "data"), "--exec-root", filepath.Join(d.dir, "exec"), "--pidfile", filepath.Join(d.dir, "pid"),
		"--host", "unix://"+d.Socket, "--iptables=false", "--ip6tables=false", "--userland-proxy=false")
	if opts.Hub != "" {
		args = append(args, "--registry-mirror", "http://"+opts.Hub)
	}
	ready = func() error { return d.Command(ctx, "version").Run() }
	if err := d.startDaemon(ctx, ready, args...); err != nil || d.Version != "" {
		return err
	}
	version, err := d.Command(ctx, "version", "--format", "{{.Server.Version}}").Output()
	d.Version = strings.TrimSpace(string(version))
	return err
}

func (d *Docker) startDaemon(ctx context.Context, ready func() error, args ...string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), args[0], args[1:]...)
	// Debian's client is older than what today's engine answers by itself.
	path := strings.Join([]string{d.bin, filepath.Join(d.root, "usr/sbin"), os.Getenv("PATH")}, ":")
	cmd.Env = append(os.Environ(), append(d.environ(), "DOCKER_MIN_API_VERSION=1.24", "PATH="+path)...)
	m, err := startDaemon(cmd, filepath.Join(d.dir, fmt.Sprintf("%d.log", len(d.daemons))))
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
	for _, way := range d.ways {
		_ = way.Close() // it leads nowhere any more
	}
	return errors.Join(mount.RecursiveUnmount(d.dir), os.RemoveAll(d.dir)) // it leaves a folder, and all if it was killed
}
