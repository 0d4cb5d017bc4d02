package vm

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// wanted are the modules of Debian's kernel that a machine's disk, network, power button, root that can be written and vsock need.
// By vsock_loopback a machine reaches itself.
const wanted = "virtio_pci virtio_mmio virtio_blk virtio_net button evdev overlay vmw_vsock_virtio_transport vsock_loopback"

// writeInitrd writes what a kernel begins in: an init, and the modules below a folder that are wanted.
func writeInitrd(file string, init []byte, modules string) error {
	files := map[string]string{}
	err := filepath.WalkDir(modules, func(path string, _ fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			files[moduleName(name)] = path
		}
		return err
	})
	if err != nil {
		return err
	}
	var a archive
	a.add("init", 0o100755, init)
	a.add("modules", 0o040755, nil)
	var order []string
	for _, name := range strings.Fields(wanted) {
		if order, err = withNeeded(order, name, files); err != nil {
			return err
		}
	}
	for i, name := range order {
		content, err := os.ReadFile(files[name])
		if err != nil {
			return err
		}
		a.add(fmt.Sprintf("modules/%02d-%s.ko", i, name), 0o100644, content)
	}
	a.add("TRAILER!!!", 0, nil)
	return os.WriteFile(file, a.buf.Bytes(), 0o600)
}

func moduleName(file string) string { return strings.ReplaceAll(file, "-", "_") }

// withNeeded adds a module to others, after those that it needs. One that is no file is part of the kernel.
func withNeeded(order []string, name string, files map[string]string) ([]string, error) {
	file := files[name]
	for _, there := range order {
		if there == name {
			return order, nil
		}
	}
	if file == "" {
		return order, nil
	}
	f, err := elf.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it is only read
	info := f.Section(".modinfo")
	if info == nil {
		return nil, fmt.Errorf("%s says nothing of itself", file)
	}
	text, err := info.Data()
	if err != nil {
		return nil, err
	}
	for line := range bytes.SplitSeq(text, []byte{0}) {
		needs, ok := strings.CutPrefix(string(line), "depends=")
		if !ok || needs == "" {
			continue
		}
		for n := range strings.SplitSeq(needs, ",") {
			if order, err = withNeeded(order, moduleName(n), files); err != nil {
				return nil, err
			}
		}
	}
	return append(order, name), nil
}

// An archive is a cpio archive in the form that the kernel reads.
type archive struct {
	buf   bytes.Buffer
	inode int
}

func (a *archive) add(name string, mode int, content []byte) {
	a.inode++
	fmt.Fprintf(&a.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", a.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad()
	a.buf.Write(content)
	a.pad()
}

func (a *archive) pad() {
	const unit = 4
	a.buf.Write(make([]byte, (unit-a.buf.Len()%unit)%unit))
}

// kernel is the file of the kernel below a folder, and the folder of its modules.
func kernel(root string) (file, modules string, err error) {
	found, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err == nil && len(found) != 1 {
		err = errors.New("there is no kernel, or more than one")
	}
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", root, err)
	}
	version := strings.TrimPrefix(filepath.Base(found[0]), "vmlinuz-")
	return found[0], filepath.Join(root, "lib", "modules", version), nil
}
