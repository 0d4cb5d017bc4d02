// Package vm starts virtual machines for tests: QEMU's own emulation and Debian's kernel, which are unpacked and not installed.
//
// [For] has both, and an initrd with the modules of the kernel that a machine of fnb's needs; [Kit.Start] runs a command as
// "fnb generate qemu" writes it. A machine has QEMU's network in user mode, so that nothing of this machine is changed, and
// needs no root. Tests require it as "vm".
package vm
