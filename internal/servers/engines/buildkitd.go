package engines

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"fnb/internal/servers/buildkitimage"
	"fnb/internal/servers/layertar"
)

// A command runs an engine's client.
type command func(ctx context.Context, args ...string) *exec.Cmd

// capabilities are those of a buildkitd. All of them ("--privileged") may be more than this machine has itself.
const capabilities = "SYS_ADMIN NET_ADMIN SYS_PTRACE SYS_CHROOT MKNOD DAC_READ_SEARCH DAC_OVERRIDE FOWNER FSETID CHOWN SETUID SETGID SETPCAP SETFCAP KILL NET_RAW NET_BIND_SERVICE AUDIT_WRITE"

// buildkitd starts a buildkitd in a container that has the name of the folder dir, where it keeps its state.
func buildkitd(ctx context.Context, client command, dir string, mirrors map[string]string, flags ...string) error {
	const image = "localhost/buildkitd:1"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file := dir + ".tar.gz"
	err := layertar.WriteFile(file, func(w *layertar.Writer) error {
		if err := buildkitimage.WriteLibraries(ctx, w); err != nil {
			return err
		}
		return buildkitimage.Write(ctx, w, mirrors)
	})
	if err != nil {
		return err
	}
	if err := run(client(ctx, "import", "--change", `ENTRYPOINT ["buildkitd"]`, "--change", "ENV "+buildkitimage.Path, file, image)); err != nil {
		return err
	}
	name := filepath.Base(dir)
	args := append([]string{
		"run", "--detach", "--name", name, "--network", "host", "--cgroupns", "host", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
		"--volume", dir + ":/var/lib/buildkit", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup",
	}, flags...)
	for c := range strings.FieldsSeq(capabilities) {
		args = append(args, "--cap-add", c)
	}
	if err := run(client(ctx, append(args, image)...)); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := run(client(ctx, "exec", name, "buildctl", "debug", "workers"))
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			said, _ := client(ctx, "logs", name).CombinedOutput() // it is shown as far as it can be read
			return fmt.Errorf("starting buildkitd in a container: %w\n%s", err, said)
		}
	}
}

// removeContainers ends all containers.
func removeContainers(ctx context.Context, client command) {
	out, err := client(ctx, "ps", "--all", "--quiet").Output()
	if ids := strings.Fields(string(out)); err == nil && len(ids) > 0 {
		_ = client(ctx, append([]string{"rm", "--force"}, ids...)...).Run() // the engine ends next
	}
}

func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// client makes a folder for PATH that has a program with an environment of its own.
func client(dir, program string, env []string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	text := "#!/bin/sh\n"
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		text += fmt.Sprintf("export %s='%s'\n", name, value)
	}
	text += fmt.Sprintf("exec '%s' \"$@\"\n", program)
	return dir, os.WriteFile(filepath.Join(dir, filepath.Base(program)), []byte(text), 0o755) //nolint:gosec // a program
}
