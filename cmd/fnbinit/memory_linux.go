package main

import (
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// modules are the kernel's modules that an initrd has beside this program, and that are loaded in the order of their names.
const modules = "/modules"

// inMemory reports whether this is the first program of an initrd: what it starts is on no disk yet.
func inMemory() bool {
	if _, err := os.Stat(bootFile); err == nil {
		return false
	}
	_, err := os.Stat(modules)
	return err == nil
}

// fromMemory makes the disk that the kernel's command line names the root, and becomes the init there. It returns only if it cannot.
func fromMemory() error {
	const root = "/root"
	for _, dir := range []string{"/proc", "/dev", root} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // mounts stand there
			return err
		}
	}
	for _, at := range []string{"/proc", "/dev"} {
		if err := mount(at); err != nil {
			return err
		}
	}
	if err := loadModules(modules); err != nil {
		return err
	}
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	d := readDisk(string(text))
	if err := d.mount(root); err != nil {
		return err
	}
	for _, do := range []func() error{
		func() error { return unix.Unmount("/proc", unix.MNT_DETACH) },
		func() error { return unix.Unmount("/dev", unix.MNT_DETACH) },
		func() error { return os.RemoveAll(modules) }, // of memory that nobody needs any more
		func() error { return os.Chdir(root) },
		func() error { return unix.Mount(".", "/", "", unix.MS_MOVE, "") },
		func() error { return unix.Chroot(".") },
		func() error { return os.Chdir("/") },
	} {
		if err := do(); err != nil {
			return doing("changing to "+d.device, err)
		}
	}
	return doing("starting "+d.init+" of "+d.device, unix.Exec(d.init, []string{d.init}, os.Environ()))
}

// A disk is the root that the kernel's command line names.
type disk struct {
	device, kind, init string
	readOnly           bool
}

func readDisk(cmdline string) disk {
	d := disk{device: "/dev/vda", kind: "ext4", init: "/.fnb/init"}
	for _, word := range strings.Fields(cmdline) {
		key, value, given := strings.Cut(word, "=")
		switch {
		case key == "root" && given:
			d.device = value
		case key == "rootfstype" && given:
			d.kind = value
		case key == "init" && given:
			d.init = value
		case word == "ro", word == "rw":
			d.readOnly = word == "ro"
		}
	}
	return d
}

// mount mounts the disk as soon as it is there.
func (d disk) mount(at string) error {
	flags := uintptr(0)
	if d.readOnly {
		flags = unix.MS_RDONLY
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Mount(d.device, at, d.kind, flags, "")
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENXIO) || time.Now().After(end) {
			return doing("mounting "+d.device, err)
		}
	}
}

// loadModules loads the kernel's modules of a folder, in the order of their names.
func loadModules(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".ko") {
			continue
		}
		if err := loadModule(dir + "/" + file.Name()); err != nil {
			return doing("loading "+file.Name(), err)
		}
	}
	return nil
}

func loadModule(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()                                                                              //nolint:errcheck // it was only read
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) { //nolint:gosec // a file descriptor
		return err
	}
	return nil
}
