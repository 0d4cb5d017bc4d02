// Package emulation has programs of another platform run on this machine, for tests: [Start] makes a room, which is namespaces of its
// own, in which the kernel hands programs of linux/arm64 to Debian's QEMU, unpacked and not installed. Of that the machine knows
// nothing: what the kernel does with a kind of program is, from Linux 6.7 on, for each user namespace to say. A room has the machine's
// files and network. Tests require it as "emulation".
package emulation
