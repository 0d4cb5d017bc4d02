// Package ext4 writes a tree of files as an ext4 file system, the same bytes for the same tree: [Lay] decides where everything
// stands, [FS.PutContent] writes the files, [FS.Finish] the rest.
//
// The layout follows the kernel's Documentation/filesystems/ext4. Blocks have 4 KiB. All bitmaps and inode tables stand at the
// beginning (flex_bg), then come the files, each in as few pieces as can be, then free blocks. There is no journal, and there are
// no checksums: whoever mounts it may write, and after a crash checks it.
package ext4
