package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"fnb/internal/servers"
	"fnb/internal/servers/debian"
)

// A Kit is what machines are started with.
type Kit struct {
	// Kernel and Initrd are files.
	Kernel, Initrd string

	root string // the unpacked packages
}

// Prepare fetches the programs if they were never fetched, and FNB_REQUIRE wants them, and writes an initrd into a folder, whose init is given.
func Prepare(ctx context.Context, dir string, init []byte) (*Kit, error) {
	root, err := programs(ctx)
	if err != nil {
		return nil, err
	}
	k := &Kit{root: root, Initrd: filepath.Join(dir, "initrd.img")}
	file, modules, err := kernel(root)
	if err != nil {
		return nil, err
	}
	k.Kernel = file
	if err := writeInitrd(k.Initrd, init, modules); err != nil {
		return nil, fmt.Errorf("writing an initrd: %w", err)
	}
	return k, nil
}

// Version says what the machines are of.
func (k *Kit) Version(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(k.root, "usr/bin/qemu-system-x86_64"), "--version")
	cmd.Env = environ(k.root)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("QEMU: %w\n%s", err, out)
	}
	f := strings.Fields(string(out)) // QEMU emulator version N (…)
	if len(f) < 4 {                  //nolint:mnd // the words before the number, and it
		return "", fmt.Errorf("QEMU says %q", out)
	}
	return f[3] + ", Linux " + strings.TrimPrefix(filepath.Base(k.Kernel), "vmlinuz-"), nil
}

// For is Prepare for one test.
func For(tb testing.TB, init []byte) *Kit {
	tb.Helper()
	k, err := Prepare(tb.Context(), tb.TempDir(), init)
	servers.Require(tb, "vm", err)
	return k
}

// fetch unpacks QEMU with the libraries that this machine lacks, and the kernel for clouds. A fresh machine has no lists of packages
// yet, and old lists name what is gone.
const fetch = `
fetch() {
  apt-get download $(apt-get -s --no-install-recommends install qemu-system-x86 | sed -n 's/^Inst \([^ ]*\).*/\1/p') \
    qemu-system-x86 qemu-system-common qemu-system-data seabios ipxe-qemu \
    $(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
}
fetch || { apt-get update -q && fetch; }
for p in *.deb; do dpkg-deb -x $p root; done
rm -rf *.deb root/usr/share/doc root/usr/share/man root/usr/bin/qemu-system-i386
chmod 755 root
`

// programs is the folder of the unpacked packages. They are fetched once, and only if FNB_REQUIRE wants vm, as "make vm" does.
func programs(ctx context.Context) (string, error) {
	if runtime.GOARCH != "amd64" {
		return "", errors.New("machines of tests are for amd64")
	}
	return debian.Unpack(ctx, "vm", "1", fetch)
}

// environ leads to the programs and libraries below root.
func environ(root string) []string {
	return append(os.Environ(), debian.Environment(root)...)
}
