package servers

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// runtimeSpec says to the runtime what an image's configuration asks for.
func runtimeSpec(image v1.Config, rootfs string, opts ContainerOptions) (*specs.Spec, error) {
	args := append(append([]string{}, image.Entrypoint...), image.Cmd...)
	if opts.Cmd != nil {
		args = opts.Cmd
	}
	if len(args) == 0 {
		return nil, errors.New("the image names no program to run")
	}
	user := image.User
	if opts.User != "" {
		user = opts.User
	}
	uid, gid, err := resolveUser(rootfs, user)
	if err != nil {
		return nil, err
	}
	cwd := image.WorkingDir
	if cwd == "" {
		cwd = "/"
	}
	env := append(append([]string{}, image.Env...), opts.Env...)
	// Docker's default set.
	caps := []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
	process := &specs.Process{
		Args: args, Env: env, Cwd: cwd,
		User:            specs.User{UID: uid, GID: gid},
		Capabilities:    &specs.LinuxCapabilities{Bounding: caps},
		NoNewPrivileges: true,
	}
	if uid == 0 {
		process.Capabilities.Effective, process.Capabilities.Permitted = caps, caps
	}
	spec := &specs.Spec{
		Version: "1.0.2", // the oldest that says all of this, for old runtimes
		Process: process,
		Root:    &specs.Root{Path: rootfs, Readonly: opts.ReadOnly},
		Mounts:  containerMounts(),
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace},
			{Type: specs.IPCNamespace},
			{Type: specs.UTSNamespace},
			{Type: specs.MountNamespace},
			{Type: specs.NetworkNamespace},
		}},
		Hostname: "function",
	}
	if opts.ReadOnly {
		spec.Mounts = append(spec.Mounts, specs.Mount{
			Destination: "/tmp", Type: "tmpfs", Source: "tmpfs",
			Options: []string{"nosuid", "nodev", "mode=1777"},
		})
	}
	return spec, nil
}

func containerMounts() []specs.Mount {
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc"},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
	}
}

// resolveUser turns an image's user, "", "1000", "1000:1000", "app" or
// "app:app", into numbers, by the image's own passwd and group files.
func resolveUser(rootfs, user string) (uid, gid uint32, err error) {
	if user == "" {
		return 0, 0, nil
	}
	name, group, hasGroup := strings.Cut(user, ":")
	entry := findEntry(rootfs, "etc/passwd", name)
	switch {
	case len(entry) > 3:
		uid, err = parseID(entry[2])
		if err == nil {
			gid, err = parseID(entry[3])
		}
	default:
		uid, err = parseID(name)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("user %q: %w", user, err)
	}
	if !hasGroup {
		return uid, gid, nil
	}
	if entry := findEntry(rootfs, "etc/group", group); len(entry) > 2 {
		group = entry[2]
	}
	if gid, err = parseID(group); err != nil {
		return 0, 0, fmt.Errorf("user %q: %w", user, err)
	}
	return uid, gid, nil
}

func parseID(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}

// findEntry returns the fields of the line of a passwd or group file whose
// name or number is key; nil when the file or the line is not there.
func findEntry(rootfs, file, key string) []string {
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return nil
	}
	defer func() { _ = root.Close() }() // it is only a handle
	f, err := root.Open(file)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // it was only read from
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) > 2 && (fields[0] == key || fields[2] == key) {
			return fields
		}
	}
	return nil
}
