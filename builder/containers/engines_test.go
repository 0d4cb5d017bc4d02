package containers_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/watchdog"
	"fnb/internal/servers/engines"
	"fnb/internal/servers/tried"
)

// done runs a command of an engine and returns what it prints.
func done(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// archive is a function as a file that docker load reads, and its name.
func archive(t *testing.T) (file, name string) {
	t.Helper()
	file, name = filepath.Join(t.TempDir(), "f.tar"), "docker.io/library/f:1"
	req := *function(t, "cat").Build
	req.Output = builder.Output{Docker: func() (io.WriteCloser, error) { return os.Create(file) }, Names: []string{name}}
	buildertest.Solve(t, buildertest.Stock(t), req)
	return file, name
}

// awaitHealthy asks the watchdog in a container until it is healthy.
func awaitHealthy(t *testing.T, ask func() *exec.Cmd) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, err := ask().CombinedOutput()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it does not get healthy: %v\n%s", err, out)
		}
	}
}

// hardened are the flags of docs/portability.md.
func hardened() []string {
	return []string{"--read-only", "-e", "suppress_lock=true", "-e", "healthcheck_interval=0", "--user", "1000:1000", "--memory", "64m", "--cap-drop", "ALL", "--network", "none"}
}

// TestDockerReads has a Docker Engine and its containerd load an image and run it.
func TestDockerReads(t *testing.T) {
	t.Parallel()
	d := engines.DockerFor(t, engines.DockerOptions{})
	version := done(t, d.Command(t.Context(), "version", "--format", "{{.Server.Version}}"))
	containerd := done(t, d.Command(t.Context(), "version", "--format", `{{range .Server.Components}}{{if eq .Name "containerd"}}{{.Version}}{{end}}{{end}}`))
	file, name := archive(t)
	done(t, d.Command(t.Context(), "load", "--input", file))
	done(t, d.Command(t.Context(), append(append([]string{"run", "--detach", "--name", "fn"}, hardened()...), name)...))
	awaitHealthy(t, func() *exec.Cmd {
		return d.Command(t.Context(), "exec", "fn", watchdog.Path, "--run-healthcheck")
	})
	done(t, d.Command(t.Context(), "stop", "fn"))
	if code := done(t, d.Command(t.Context(), "wait", "fn")); code != "0" {
		t.Errorf("after docker stop the exit code is %s\n%s", code, done(t, d.Command(t.Context(), "logs", "fn")))
	}
	done(t, d.Ctr(t.Context(), "image", "import", file))
	if out := done(t, d.Ctr(t.Context(), "run", "--rm", name, "v", watchdog.Path, "--version")); !strings.HasPrefix(out, "fwatchdog ") {
		t.Errorf("ctr run: %q", out)
	}
	record(t, "Docker Engine", version)
	record(t, "containerd", containerd)
}

// record says with which version the test has passed.
func record(t *testing.T, with, version string) {
	t.Helper()
	if t.Failed() {
		return
	}
	if err := tried.Record(t.Context(), with, version, t.Name()); err != nil {
		t.Error(err)
	}
}

// TestPodmanReads has podman load an image and run it.
func TestPodmanReads(t *testing.T) {
	t.Parallel()
	p := engines.PodmanFor(t)
	file, name := archive(t)
	done(t, p.Command(t.Context(), "load", "--input", file))
	done(t, p.Command(t.Context(), append(append([]string{"run", "--detach", "--name", "fn"}, hardened()...), name)...))
	awaitHealthy(t, func() *exec.Cmd {
		return p.Command(t.Context(), "exec", "fn", watchdog.Path, "--run-healthcheck")
	})
	done(t, p.Command(t.Context(), "stop", "fn"))
	if code := done(t, p.Command(t.Context(), "wait", "fn")); code != "0" {
		t.Errorf("after podman stop the exit code is %s\n%s", code, done(t, p.Command(t.Context(), "logs", "fn")))
	}
	record(t, "podman", done(t, p.Command(t.Context(), "version", "--format", "{{.Client.Version}}")))
}
