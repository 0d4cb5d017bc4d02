package engines

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"fnb/internal/servers"
)

// A Podman is podman with images and containers of its own.
type Podman struct{ root, dir string }

// PodmanFor makes folders for podman for one test.
func PodmanFor(tb testing.TB) *Podman {
	tb.Helper()
	root, err := programs(tb.Context())
	servers.Require(tb, "engines", err)
	runtime, err := exec.LookPath("runc")
	servers.Require(tb, "engines", err)
	p := &Podman{root: root}
	if p.dir, err = os.MkdirTemp("", "fnb-podman-"); err != nil { //nolint:usetesting // a test's own folder is too long for its sockets
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = p.Command(context.WithoutCancel(tb.Context()), "rm", "--all", "--force", "--time", "0").Run() // there may be none
		_ = p.Command(context.WithoutCancel(tb.Context()), "system", "reset", "--force").Run()
		if err := os.RemoveAll(p.dir); err != nil {
			tb.Error(err)
		}
	})
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
		"storage.conf":    fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n", filepath.Join(p.dir, "images"), filepath.Join(p.dir, "run")),
		"registries.conf": "",
		"policy.json":     `{"default": [{"type": "insecureAcceptAnything"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return p
}

// Command runs podman.
func (p *Podman) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.root, "usr/bin/podman"), append([]string{"--tmpdir", filepath.Join(p.dir, "tmp")}, args...)...)
	cmd.Env = environ(p.root, "CONTAINERS_CONF="+filepath.Join(p.dir, "containers.conf"), "CONTAINERS_STORAGE_CONF="+filepath.Join(p.dir, "storage.conf"),
		"CONTAINERS_REGISTRIES_CONF="+filepath.Join(p.dir, "registries.conf"))
	return cmd
}

// Policy is a file that lets every image in.
func (p *Podman) Policy() string { return filepath.Join(p.dir, "policy.json") }
