package main

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const unsafeLong = strconv.IntSize / 8 // bytes of C's long

// mounts are the file systems that programs expect, by where they stand.
func mounts() map[string]struct {
	kind, options string
	flags         uintptr
} {
	const safe = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	return map[string]struct {
		kind, options string
		flags         uintptr
	}{
		"/proc":    {"proc", "", safe},
		"/sys":     {"sysfs", "", safe},
		"/dev":     {"devtmpfs", "mode=0755", unix.MS_NOSUID},
		"/dev/pts": {"devpts", "mode=0620,ptmxmode=0666,gid=5", unix.MS_NOSUID | unix.MS_NOEXEC},
		"/dev/shm": {"tmpfs", "mode=1777", unix.MS_NOSUID | unix.MS_NODEV},
		"/run":     {"tmpfs", "mode=0755", unix.MS_NOSUID | unix.MS_NODEV},
		"/tmp":     {"tmpfs", "mode=1777", unix.MS_NOSUID | unix.MS_NODEV},
	}
}

// mount mounts the file system of a place, unless it is there already.
func mount(at string) error {
	m := mounts()[at]
	err := unix.Mount(m.kind, at, m.kind, m.flags, m.options)
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return doing("mounting "+at, err)
	}
	return nil
}

// mountAll mounts all but /proc. A /tmp in which the image has files stays as it is.
func mountAll() error {
	for _, at := range []string{"/sys", "/dev", "/dev/pts", "/dev/shm", "/run", "/tmp"} {
		switch at {
		case "/dev/pts", "/dev/shm":
			if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				return err
			}
		case "/tmp":
			if files, err := os.ReadDir(at); err != nil || len(files) > 0 {
				continue
			}
		}
		if err := mount(at); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, "/dev/"+name); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	const files = 1 << 20 // that a process may have open, as in a container
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files})
}

// overlay makes the root one that can be written: what is written stays in memory, and the disk as it is.
func overlay() error {
	const memory, root = "/.fnb/rw", "/.fnb/root"
	if err := unix.Mount("tmpfs", memory, "tmpfs", unix.MS_NODEV, "mode=0755"); err != nil {
		return doing("mounting "+memory, err)
	}
	for _, dir := range []string{memory + "/upper", memory + "/work"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	options := "lowerdir=/,upperdir=" + memory + "/upper,workdir=" + memory + "/work"
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return doing("laying memory over the root, which needs a kernel with overlayfs", err)
	}
	for _, do := range []func() error{
		func() error { return unix.Mount("/proc", root+"/proc", "", unix.MS_MOVE, "") },
		func() error { return os.Chdir(root) },
		func() error { return unix.Mount(".", "/", "", unix.MS_MOVE, "") },
		func() error { return unix.Chroot(".") },
		func() error { return os.Chdir("/") },
	} {
		if err := do(); err != nil {
			return doing("changing to the root that can be written", err)
		}
	}
	return nil
}
