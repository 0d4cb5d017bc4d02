package rootfs_test

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"fnb/images/rootfs"
	"fnb/internal/servers/tried"
	"fnb/internal/servers/vm"
)

// patience is for a machine that is emulated while others keep the processors busy.
const patience = 10 * time.Minute

// compiled is a program of this module, without C.
func compiled(t *testing.T, pkg string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// owned is an entry of a user.
func owned(h tar.Header, id int) tar.Header {
	h.Uid, h.Gid = id, id
	return h
}

// TestMachines boots an image's root file system under QEMU: with a disk that can be written, with one that cannot, with memory
// over it and a vsock, and with a command line that is wrong.
func TestMachines(t *testing.T) {
	t.Parallel()
	init := compiled(t, "fnb/cmd/fnbinit")
	kit := vm.For(t, init)
	version, err := kit.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // when all machines are off
		if t.Failed() {
			return
		}
		if err := tried.Record(context.Background(), "QEMU", version, "TestMachines"); err != nil {
			t.Error(err)
		}
	})
	program := file("usr/bin/function", string(compiled(t, "./testdata/function")))
	program.Mode = 0o755
	img, err := mutate.Config(image(t, layer(t, program, dir("etc/"), file("etc/passwd", "app:x:1000:1001::/home/app:/bin/none\n"), dir("home/"), owned(dir("home/app/"), 1000))), v1.Config{
		Entrypoint: []string{"function"}, Env: []string{"IMAGE=it's of the \"image\"", "PATH=/usr/bin"}, User: "app", WorkingDir: "/home",
	})
	if err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(t.TempDir(), "disk.ext4")
	f, err := os.Create(disk)
	if err != nil {
		t.Fatal(err)
	}
	if err := rootfs.Write(t.Context(), f, img, init); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	same := "image it's of the \"image\"\ncommand line two words\nuser 1000:1001\nfolder /home\nhost box\nnameserver 10.0.2.3\n/ is %s\n/tmp is tmpfs, rw\n%s\norphan gone\n"
	const off = "fnb: the function ended with code 7"
	for name, test := range map[string]struct {
		line, keys   string // of the kernel; what has it end, or nothing
		says, shows  string
		leavesNoMark bool
	}{
		"written":   {"rw ip=::::box::dhcp", "power", fmt.Sprintf(same, "ext4, rw", "home can be written"), off, false},
		"read-only": {"ro ip=10.0.2.15::10.0.2.2:255.255.255.0:box:eth0:off:10.0.2.3", "ctrl-alt-delete", fmt.Sprintf(same, "ext4, ro", "home cannot be written"), off, true},
		"overlay":   {"ro fnb.overlay fnb.vsock=8080 reboot=k ip=::::box::dhcp", "power", fmt.Sprintf(same, "overlay, rw", "home can be written") + "vsock answers\n", off, true},
		"wrong":     {"rw ip=300.0.0.1::::", "", "", `fnb: the kernel's command line: ip=300.0.0.1::::: ParseAddr("300.0.0.1")`, false},
		"no disk":   {"rw root=/dev/vda rootfstype=overlay", "", "", "fnb: mounting /dev/vda: ", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			before := copied(t, disk, filepath.Join(dir, "hello.ext4"))
			m, err := kit.Start(t.Context(), dir, "qemu-system-x86_64 -machine q35,accel=kvm:tcg -cpu max -smp 1 -m 256 -nodefaults -no-reboot -display none -serial stdio -kernel vmlinuz -initrd initrd.img -append "+
				"'console=ttyS0 root=/dev/vda init="+rootfs.InitPath+" fnb.env.LINE=two%20words "+test.line+"' -drive if=virtio,format=raw,file=hello.ext4 -nic user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:8080-:8080")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			})
			if test.keys != "" {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if got, err := m.Answer(ctx, "/"); err != nil || got != test.says {
					t.Errorf("%v; it says\n%s", err, got)
				}
				if err := m.Press(t.Context(), test.keys); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.AwaitEnd(patience); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(m.Console(), test.shows) || strings.Contains(m.Console(), "Kernel panic") {
				t.Errorf("its console shows\n%s", m.Console())
			}
			if after := copied(t, filepath.Join(dir, "hello.ext4"), os.DevNull); test.leavesNoMark && after != before {
				t.Error("the disk has changed")
			}
			if out, err := exec.CommandContext(t.Context(), "e2fsck", "-f", "-n", filepath.Join(dir, "hello.ext4")).CombinedOutput(); err != nil && out != nil {
				t.Errorf("e2fsck: %v\n%s", err, out)
			}
		})
	}
}

// copied copies a file, and returns its digest.
func copied(t *testing.T, from, to string) string {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err == nil && to != os.DevNull {
		err = os.WriteFile(to, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(raw))
}
