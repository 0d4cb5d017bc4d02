package engines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"fnb/internal/servers"
)

// A Podman is podman with images and containers of its own.
type Podman struct {
	root, dir string
	service   *daemon
}

// StartPodman makes folders for podman.
func StartPodman(ctx context.Context) (_ *Podman, err error) {
	root, err := programs(ctx)
	if err != nil {
		return nil, err
	}
	runtime, err := exec.LookPath("runc")
	if err != nil {
		return nil, err
	}
	p := &Podman{root: root}
	if p.dir, err = os.MkdirTemp("", "fnb-podman-"); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		// The limits are less than a machine may have that gives nobody more than its own.
		"containers.conf": fmt.Sprintf(`[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
seccomp_profile = %q
[engine]
conmon_path = [%q]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[engine.runtimes]
runc = [%q]
`, filepath.Join(root, "usr/share/containers/seccomp.json"), filepath.Join(root, "usr/bin/conmon"), runtime),
		"storage.conf":                   fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n", filepath.Join(p.dir, "images"), filepath.Join(p.dir, "run")),
		"registries.conf":                "",
		".config/containers/policy.json": `{"default": [{"type": "insecureAcceptAnything"}]}`,
	} {
		file := filepath.Join(p.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

// PodmanFor makes folders for podman for one test.
func PodmanFor(tb testing.TB) *Podman {
	tb.Helper()
	p, err := StartPodman(tb.Context())
	servers.Require(tb, "engines", err)
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// Command runs podman.
func (p *Podman) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.root, "usr/bin/podman"), args...)
	cmd.Env = append(os.Environ(), p.environ()...)
	return cmd
}

// environ leads to the settings, and by HOME to the policy that lets every image in.
func (p *Podman) environ() []string {
	return environ(p.root, "HOME="+p.dir, "TMPDIR="+p.dir, "CONTAINERS_CONF="+filepath.Join(p.dir, "containers.conf"),
		"CONTAINERS_STORAGE_CONF="+filepath.Join(p.dir, "storage.conf"), "CONTAINERS_REGISTRIES_CONF="+filepath.Join(p.dir, "registries.conf"))
}

// Client makes a folder for PATH in which podman has these images and containers.
func (p *Podman) Client() (dir string, err error) {
	return client(filepath.Join(p.dir, "client"), filepath.Join(p.root, "usr/bin/podman"), p.environ())
}

// Buildkitd starts a buildkitd in a container of the name, with this machine's network.
func (p *Podman) Buildkitd(ctx context.Context, name string, mirrors map[string]string) error {
	return buildkitd(ctx, p.Command, filepath.Join(p.dir, name), mirrors, "--security-opt", "unmask=ALL")
}

// Serve starts podman's imitation of a Docker Engine's API, which has no BuildKit, and returns its socket.
func (p *Podman) Serve(ctx context.Context) (socket string, err error) {
	socket = filepath.Join(p.dir, "p.sock")
	p.service, err = startDaemon(p.Command(context.WithoutCancel(ctx), "system", "service", "--time", "0", "unix://"+socket), filepath.Join(p.dir, "service.log"))
	if err != nil {
		return "", err
	}
	return socket, p.service.await(func() error { return p.Command(ctx, "--remote", "--url", "unix://"+socket, "version").Run() })
}

// Close ends what runs, and removes the folders.
func (p *Podman) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if p.service != nil {
		p.service.stop()
	}
	_ = p.Command(ctx, "rm", "--all", "--force", "--time", "0").Run() // there may be none
	_ = p.Command(ctx, "system", "reset", "--force").Run()
	return os.RemoveAll(p.dir)
}
