package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadDisk(t *testing.T) {
	t.Parallel()
	usual := disk{device: "/dev/vda", kind: "ext4", init: "/.fnb/init"}
	for text, change := range map[string]func(*disk){
		"":                              func(*disk) {},
		"console=ttyS0 root init quiet": func(*disk) {},
		"root=/dev/vdb rootfstype=xfs":  func(d *disk) { d.device, d.kind = "/dev/vdb", "xfs" },
		"ro init=/sbin/init":            func(d *disk) { d.readOnly, d.init = true, "/sbin/init" },
		"ro rw":                         func(*disk) {},
		"rows=24 ip=dhcp fnb.overlay":   func(*disk) {},
	} {
		want := usual
		change(&want)
		if got := readDisk(text); got != want {
			t.Errorf("%q: %+v, not %+v", text, got, want)
		}
	}
}

// What is no module is an error that names it, and stops what would come after it.
func TestLoadModules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := loadModules(dir); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"10-first.ko", "20-second.ko", "README"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("no module"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := loadModules(dir); err == nil || !strings.HasPrefix(err.Error(), "loading 10-first.ko: ") {
		t.Error(err)
	}
}

// A disk that another error than a device that is not there keeps from being mounted is said at once.
func TestMountDisk(t *testing.T) {
	t.Parallel()
	d := disk{device: "/dev/null", kind: "no-such-kind"}
	err := d.mount(t.TempDir())
	if err == nil || !strings.HasPrefix(err.Error(), "mounting /dev/null: ") {
		t.Errorf("%v (not %v)", err, unix.ENODEV)
	}
}
