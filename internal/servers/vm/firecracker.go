package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"fnb/internal/servers"
)

// A firecracker is the part of Firecracker's --config-file that fnb writes, by the names of its firecracker.yaml.
type firecracker struct {
	Source struct {
		Kernel string `json:"kernel_image_path"`
		Args   string `json:"boot_args"`
	} `json:"boot-source"`
	Drives []struct {
		ID       string `json:"drive_id"`
		Path     string `json:"path_on_host"`
		Root     bool   `json:"is_root_device"`
		ReadOnly bool   `json:"is_read_only"`
	} `json:"drives"`
	Networks []struct {
		ID     string `json:"iface_id"`
		Device string `json:"host_dev_name"`
		MAC    string `json:"guest_mac"`
	} `json:"network-interfaces"`
	Machine struct {
		Processors int `json:"vcpu_count"`
		Memory     int `json:"mem_size_mib"`
	} `json:"machine-config"`
}

// StartFirecracker starts a machine as a configuration of Firecracker's describes it, in a folder that has its disk: with the kernel's
// command line and what Firecracker adds to it, processors, memory, disk and network, at whose other end is the address 172.16.0.1.
// It is a PC, and not Firecracker's own kind of machine: Debian's kernel finds no timer in QEMU's "microvm" unless KVM runs it. The
// kernel and the initrd are the kit's.
func (k *Kit) StartFirecracker(ctx context.Context, dir, config string) (*Machine, error) {
	var c firecracker
	d := json.NewDecoder(bytes.NewReader([]byte(config)))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("the configuration is not one of fnb's: %w", err)
	}
	if c.Source.Kernel != "vmlinux" || len(c.Drives) != 1 || !c.Drives[0].Root || len(c.Networks) != 1 {
		return nil, fmt.Errorf("the configuration is not one of fnb's: %s", config)
	}
	port, err := servers.FreePorts(1)
	if err != nil {
		return nil, err
	}
	drive, mode, readOnly := c.Drives[0], "rw", ""
	if drive.ReadOnly {
		mode, readOnly = "ro", ",readonly=on"
	}
	net := c.Networks[0]
	return k.run(ctx, dir, port, strings.Join([]string{
		"qemu-system-x86_64 -machine q35,accel=tcg -cpu max -nodefaults -no-user-config -no-reboot -display none -serial stdio",
		fmt.Sprintf("-smp %d -m %d -kernel %s -initrd %s", c.Machine.Processors, c.Machine.Memory, k.Kernel, k.Initrd),
		fmt.Sprintf("-append '%s root=/dev/vda %s'", c.Source.Args, mode),
		fmt.Sprintf("-drive if=none,id=%s,format=raw,file=%s%s -device virtio-blk-pci,drive=%s", drive.ID, drive.Path, readOnly, drive.ID),
		fmt.Sprintf("-netdev user,id=%s,net=172.16.0.0/24,host=172.16.0.1,dns=172.16.0.3,dhcpstart=172.16.0.15,hostfwd=tcp:127.0.0.1:%s-172.16.0.2:8080", net.ID, port),
		fmt.Sprintf("-device virtio-net-pci,netdev=%s,mac=%s", net.ID, net.MAC),
	}, " "))
}
