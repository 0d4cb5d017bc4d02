package vm_test

import (
	"os"
	"strings"
	"testing"

	"fnb/internal/servers/vm"
)

// TestPrepare has a kernel, and an initrd whose modules stand behind those that they need.
func TestPrepare(t *testing.T) {
	t.Parallel()
	k := vm.For(t, []byte("the first program"))
	if _, err := os.Stat(k.Kernel); err != nil {
		t.Error(err)
	}
	raw, err := os.ReadFile(k.Initrd)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, part := range []string{"the first program", "-virtio.ko", "-virtio_pci.ko", "-virtio_blk.ko", "-net_failover.ko", "-virtio_net.ko", "-overlay.ko", "TRAILER!!!"} {
		i := strings.Index(string(raw[at:]), part)
		if i < 0 {
			t.Fatalf("%s is not there, or not in its place", part)
		}
		at += i
	}
	version, err := k.Version(t.Context())
	if err != nil || !strings.Contains(version, ", Linux ") {
		t.Errorf("%q, %v", version, err)
	}
}

// A command that is not as fnb writes it is not run.
func TestStart(t *testing.T) {
	t.Parallel()
	k := vm.For(t, nil)
	for _, command := range []string{"touch here", "qemu-system-x86_64 -machine q35,accel=kvm:tcg"} {
		if m, err := k.Start(t.Context(), t.TempDir(), command); err == nil {
			_ = m.Close()
			t.Errorf("%s: it runs", command)
		}
	}
	for _, config := range []string{"", "{}", `{"drives": [], "logger": {}}`} {
		if m, err := k.StartFirecracker(t.Context(), t.TempDir(), config); err == nil {
			_ = m.Close()
			t.Errorf("%s: it runs", config)
		}
	}
}
