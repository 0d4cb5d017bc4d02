package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"fnb/internal/plain"
)

// A Machine says how a function's virtual machine differs from the usual one.
type Machine struct {
	Overlay bool // what the function writes stays in memory, and the disk as it is
	VSock   bool // it is reached by vsock, and has no network
}

// Machines are the platforms that run a function as a virtual machine, of a file that fnb build --output rootfs=FILE makes. They need no
// image of a registry, and take one function at a time.
func Machines(m Machine) []Platform {
	return []Platform{
		{Name: "firecracker", Title: "Firecracker", Write: m.firecracker, Apply: "firecracker --no-api --config-file FILE", Disk: true},
		{Name: "qemu", Title: "QEMU", Write: m.qemu, Apply: "sh", Command: true, Disk: true},
	}
}

const (
	initPath      = "/.fnb/init"
	usualMemory   = 256  // MB of a machine of which nothing is said
	longestKernel = 2048 // bytes of a command line that kernels take
	// The addresses of Firecracker's own documents.
	guestNet = "172.16.0.2::172.16.0.1:255.255.255.252"
	guestMAC = "06:00:AC:10:00:02"
	guestCID = 3 // the first that a machine may have
	// MAX_SUPPORTED_VCPUS of Firecracker.
	firecrackerMost = 32
)

// firecracker writes what Firecracker's --config-file takes, whose parts its API takes too: the kernel vmlinux, the function's
// root file system NAME.ext4, and a network by the device tap0, or a vsock whose socket is NAME.vsock.
func (m Machine) firecracker(f Function) (Part, error) {
	var p Part
	args, err := m.kernelArguments(&p, f, "Firecracker", "console=ttyS0 reboot=k panic=1", guestNet+":"+f.Name+":eth0:off")
	if err != nil {
		return p, err
	}
	if n := f.processors(); n > firecrackerMost {
		return p, fmt.Errorf("limits: Firecracker gives a machine at most %d CPUs, not %d", firecrackerMost, n)
	}
	type object map[string]any
	config := object{
		"boot-source":    object{"kernel_image_path": "vmlinux", "boot_args": args},
		"drives":         []object{{"drive_id": "rootfs", "path_on_host": f.Name + ".ext4", "is_root_device": true, "is_read_only": m.keepsDisk(f)}},
		"machine-config": object{"vcpu_count": f.processors(), "mem_size_mib": f.megabytes()},
	}
	if m.VSock {
		config["vsock"] = object{"guest_cid": guestCID, "uds_path": f.Name + ".vsock"}
	} else {
		config["network-interfaces"] = []object{{"iface_id": "eth0", "host_dev_name": "tap0", "guest_mac": guestMAC}}
	}
	text, err := json.MarshalIndent(config, "", "  ")
	p.text = string(text) + "\n"
	return p, err
}

// qemu writes a command for a shell that runs the function's root file system NAME.ext4 as a machine, with the kernel vmlinuz and
// its initrd.img, and leads a port of this machine's loopback to it, or a vsock.
func (m Machine) qemu(f Function) (Part, error) {
	var p Part
	mode, drive := "rw", "if=virtio,format=raw,file="+f.Name+".ext4"
	if m.keepsDisk(f) {
		mode, drive = "ro", drive+",readonly=on"
	}
	args, err := m.kernelArguments(&p, f, "QEMU", "console=ttyS0 root=/dev/vda "+mode, "::::"+f.Name+"::dhcp")
	if err != nil {
		return p, err
	}
	words := []string{
		"qemu-system-x86_64", "-machine", "q35,accel=kvm:tcg", "-cpu", "max", "-smp", strconv.Itoa(f.processors()), "-m", strconv.Itoa(f.megabytes()),
		"-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-kernel", "vmlinuz", "-initrd", "initrd.img", "-append", args,
		"-drive", drive,
	}
	if m.VSock {
		words = append(words, "-device", "vhost-vsock-pci,guest-cid="+strconv.Itoa(guestCID))
	} else {
		words = append(words, "-nic", "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:8080-:"+strconv.Itoa(f.port()))
	}
	for i, w := range words {
		words[i] = plain.ShellWord(w)
	}
	p.text = strings.Join(words, " ") + "\n"
	return p, nil
}

// keepsDisk reports whether nothing is written to the machine's disk.
func (m Machine) keepsDisk(f Function) bool { return f.ReadOnlyRoot || m.Overlay }

// kernelArguments is a kernel's command line that ends in the function's environment. The address is the kernel's ip=.
func (m Machine) kernelArguments(p *Part, f Function, platform, begin, address string) (string, error) {
	if !accepted().dnsLabel.MatchString(f.Name) {
		return "", fmt.Errorf("the name %q: %s wants a letter first, then at most 62 lower-case letters, digits and hyphens", f.Name, platform)
	}
	if m.Overlay && f.ReadOnlyRoot {
		return "", errors.New("readonly_root_filesystem: with an overlay the function can write everywhere; leave one of them out")
	}
	if err := f.checkValues(); err != nil {
		return "", err
	}
	f.pause(0) // no balancer is in front
	f.leftOut(p, platform, "namespace", "constraints", "labels", "annotations", "secrets")
	env := f.variables()
	words := []string{begin, "init=" + initPath}
	if m.VSock {
		words = append(words, "fnb.vsock="+strconv.Itoa(f.port()))
	} else {
		words = append(words, "ip="+address)
	}
	if m.Overlay {
		words = append(words, "fnb.overlay")
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		words = append(words, "fnb.env."+name+"="+url.PathEscape(env[name]))
	}
	args := strings.Join(words, " ")
	if len(args) >= longestKernel {
		return "", fmt.Errorf("environment: the kernel's command line would have %d bytes, and takes %d", len(args), longestKernel-1)
	}
	return args, nil
}

func (f Function) processors() int { return max(1, int(math.Ceil(cores(f.Limits)))) }

func (f Function) megabytes() int {
	if m := memory(f.Limits); m > 0 {
		return int(math.Ceil(m / mebibyte))
	}
	return usualMemory
}
