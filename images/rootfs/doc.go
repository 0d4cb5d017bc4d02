// Package rootfs makes a root file system that boots of an image: [Write] flattens the layers into an ext4 file system and adds
// what process 1 of a virtual machine needs.
package rootfs
