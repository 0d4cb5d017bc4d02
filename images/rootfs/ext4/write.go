package ext4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// PutContent writes what a file of the tree contains. r must have as many bytes as its node says.
func (fs *FS) PutContent(w io.WriterAt, n *Node, r io.Reader) error {
	left := n.Size
	buf := make([]byte, 64*blockSize)
	for _, e := range n.extents {
		at, end := int64(e.start)*blockSize, int64(e.start+e.count)*blockSize
		for at < end && left > 0 {
			part := buf[:min(int64(len(buf)), end-at, left)]
			if _, err := io.ReadFull(r, part); err != nil {
				return fmt.Errorf("reading a file's content: %w", err)
			}
			if err := writeUnlessZero(w, part, at); err != nil {
				return err
			}
			at += int64(len(part))
			left -= int64(len(part))
		}
	}
	return nil
}

// writeUnlessZero leaves a hole where there is nothing to be read but zeros.
func writeUnlessZero(w io.WriterAt, p []byte, at int64) error {
	if len(bytes.TrimLeft(p, "\x00")) == 0 {
		return nil
	}
	_, err := w.WriteAt(p, at)
	return err
}

// Finish writes all but the contents of files into w, which must be as long as [FS.Size] and of zeros where no content stands.
func (fs *FS) Finish(w io.WriterAt) error {
	if need := int(fs.groups) * blockSize; need > len(fs.used) {
		fs.used = append(fs.used, make([]byte, need-len(fs.used))...)
	}
	dirs := make([]uint32, fs.groups)
	for _, n := range fs.nodes {
		if n.IsDir() {
			dirs[(n.number-1)/fs.inodes]++
		}
		if err := fs.writeNode(w, n); err != nil {
			return err
		}
	}
	for g := range fs.groups {
		if copied(g) {
			fs.mark(g*perGroup, fs.head())
		}
	}
	var free, freeInodes uint32
	descriptors := make([]byte, (fs.head()-1)*blockSize)
	for g := range fs.groups {
		d := descriptors[g*descriptor:]
		f, fi, err := fs.writeBitmaps(w, g)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(d, fs.blockAt[g])
		binary.LittleEndian.PutUint32(d[4:], fs.inodeAt[g])
		binary.LittleEndian.PutUint32(d[8:], fs.tableAt[g])
		binary.LittleEndian.PutUint16(d[12:], uint16(f))       //nolint:gosec // of a group
		binary.LittleEndian.PutUint16(d[14:], uint16(fi))      //nolint:gosec // of a group
		binary.LittleEndian.PutUint16(d[16:], uint16(dirs[g])) //nolint:gosec // of a group
		free, freeInodes = free+f, freeInodes+fi
	}
	for g := range fs.groups {
		if !copied(g) {
			continue
		}
		super, at := fs.super(g, free, freeInodes), int64(g)*perGroup*blockSize
		if _, err := w.WriteAt(descriptors, at+blockSize); err != nil {
			return err
		}
		if g == 0 {
			at += 1024 // where a boot sector would be
		}
		if _, err := w.WriteAt(super, at); err != nil {
			return err
		}
	}
	return nil
}

// writeBitmaps writes which blocks and inodes of a group are used, and returns how many are not.
func (fs *FS) writeBitmaps(w io.WriterAt, g uint32) (free, freeInodes uint32, err error) {
	blocks := fs.used[g*blockSize : (g+1)*blockSize]
	for b := range uint32(perGroup) {
		switch {
		case g*perGroup+b >= fs.blocks:
			blocks[b/8] |= 1 << (b % 8) // behind the end
		case blocks[b/8]&(1<<(b%8)) == 0:
			free++
		}
	}
	inodes := make([]byte, blockSize)
	last := uint32(len(fs.nodes)) + firstInode - 2 //nolint:gosec // root is below firstInode, all others count from it
	for i := range uint32(perGroup) {
		switch number := g*fs.inodes + i + 1; {
		case i >= fs.inodes, number <= last:
			inodes[i/8] |= 1 << (i % 8)
		default:
			freeInodes++
		}
	}
	if _, err := w.WriteAt(blocks, int64(fs.blockAt[g])*blockSize); err != nil {
		return 0, 0, err
	}
	_, err = w.WriteAt(inodes, int64(fs.inodeAt[g])*blockSize)
	return free, freeInodes, err
}

// writeNode writes a node's inode, and of its content what is no file's.
func (fs *FS) writeNode(w io.WriterAt, n *Node) error {
	switch {
	case n.IsDir():
		data := n.entries()
		n.Size = int64(len(data))
		if err := fs.PutContent(w, n, bytes.NewReader(data)); err != nil {
			return err
		}
	case n.Mode&typeMask == TypeLink:
		n.Size = int64(len(n.Link))
		if err := fs.PutContent(w, n, bytes.NewReader([]byte(n.Link))); err != nil {
			return err
		}
	}
	if n.attrs.block != nil {
		if _, err := w.WriteAt(n.attrs.block, int64(n.attrs.at)*blockSize); err != nil {
			return err
		}
	}
	if n.index != 0 {
		block := make([]byte, blockSize)
		putExtents(block, n.extents, perIndex)
		if _, err := w.WriteAt(block, int64(n.index)*blockSize); err != nil {
			return err
		}
	}
	i := n.number - 1
	_, err := w.WriteAt(n.inode(), int64(fs.tableAt[i/fs.inodes])*blockSize+int64(i%fs.inodes)*inodeSize)
	return err
}

const usesExtents = 0x80000 // a flag of inodes

// inode is what a node's inode has.
func (n *Node) inode() []byte {
	b := make([]byte, inodeSize)
	links := n.links
	if n.IsDir() && links >= 65000 {
		links = 1 // dir_nlink: too many to count
	}
	binary.LittleEndian.PutUint16(b, n.Mode)
	binary.LittleEndian.PutUint16(b[2:], uint16(n.UID))        //nolint:gosec // the lower half
	binary.LittleEndian.PutUint32(b[4:], uint32(n.Size))       //nolint:gosec // the lower half
	binary.LittleEndian.PutUint16(b[24:], uint16(n.GID))       //nolint:gosec // the lower half
	binary.LittleEndian.PutUint16(b[26:], uint16(links))       //nolint:gosec // Lay has checked it
	binary.LittleEndian.PutUint32(b[108:], uint32(n.Size>>32)) //nolint:gosec // the upper half
	binary.LittleEndian.PutUint16(b[120:], uint16(n.UID>>16))  //nolint:gosec // the upper half
	binary.LittleEndian.PutUint16(b[122:], uint16(n.GID>>16))  //nolint:gosec // the upper half
	binary.LittleEndian.PutUint16(b[128:], inodeUsed-128)
	seconds, more := stamp(n.Time)
	for _, at := range []int{8, 12, 16, 144} { // access, change, modification, birth
		binary.LittleEndian.PutUint32(b[at:], seconds)
	}
	for _, at := range []int{132, 136, 140, 148} {
		binary.LittleEndian.PutUint32(b[at:], more)
	}
	blocks := uint64(0)
	for _, e := range n.extents {
		blocks += uint64(e.count)
	}
	if n.index != 0 {
		blocks++
	}
	if n.attrs.block != nil {
		blocks++
		binary.LittleEndian.PutUint32(b[104:], n.attrs.at)
	}
	binary.LittleEndian.PutUint32(b[28:], uint32(blocks*blockSize/512))      //nolint:gosec // the lower half
	binary.LittleEndian.PutUint16(b[116:], uint16(blocks*blockSize/512>>32)) //nolint:gosec // the upper half
	copy(b[inodeUsed:], n.attrs.inode)
	switch place := b[40:100]; n.Mode & typeMask {
	case TypeChar, TypeBlock:
		binary.LittleEndian.PutUint32(place[4:], n.Device)
	case TypeFile, TypeDir:
		n.putRoot(b, place)
	case TypeLink:
		if len(n.extents) == 0 {
			copy(place, n.Link)
		} else {
			n.putRoot(b, place)
		}
	}
	return b
}

// putRoot writes the root of a node's extents: themselves, or the block that lists them.
func (n *Node) putRoot(inode, place []byte) {
	binary.LittleEndian.PutUint32(inode[32:], usesExtents)
	if n.index == 0 {
		putExtents(place, n.extents, inInode)
		return
	}
	putExtents(place, nil, inInode)
	binary.LittleEndian.PutUint16(place[2:], 1) // entry
	binary.LittleEndian.PutUint16(place[6:], 1) // level above the extents
	binary.LittleEndian.PutUint32(place[16:], n.index)
}

// putExtents writes a list of extents with room for most of them.
func putExtents(b []byte, list []extent, most uint16) {
	binary.LittleEndian.PutUint16(b, 0xF30A)
	binary.LittleEndian.PutUint16(b[2:], uint16(len(list))) //nolint:gosec // allocate has checked it
	binary.LittleEndian.PutUint16(b[4:], most)
	logical := uint32(0)
	for i, e := range list {
		x := b[12+12*i:]
		binary.LittleEndian.PutUint32(x, logical)
		binary.LittleEndian.PutUint16(x[4:], uint16(e.count)) //nolint:gosec // longestRun at most
		binary.LittleEndian.PutUint32(x[8:], e.start)
		logical += e.count
	}
}

// stamp is a time as an inode has it: 34 bits of seconds, 30 of nanoseconds, in two words.
func stamp(t time.Time) (seconds, more uint32) {
	s := min(max(t.Unix(), -1<<31), 1<<33+1<<31-1)
	low := int32(s)                                                              //nolint:gosec // the upper bits are in the other word
	return uint32(low), uint32((s-int64(low))>>32)&3 | uint32(t.Nanosecond())<<2 //nolint:gosec // masked
}

// Features that the file system has; see the kernel's documentation of the superblock.
const (
	compatible   = 0x8 | 0x20                    // ext_attr, dir_index
	incompatible = 0x2 | 0x40 | 0x200            // filetype, extents, flex_bg
	readOnlyToo  = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 // sparse_super, large_file, huge_file, dir_nlink, extra_isize
)

// super is the superblock as a group has it.
func (fs *FS) super(group, free, freeInodes uint32) []byte {
	b := make([]byte, 1024)
	now := uint32(min(max(fs.o.Time.Unix(), 0), 1<<32-1)) //nolint:gosec // bounded
	for _, f := range []struct{ at, value uint32 }{
		{0, fs.groups * fs.inodes},
		{4, fs.blocks},
		{12, free},
		{16, freeInodes},
		{24, 2},
		{28, 2},
		{32, perGroup},
		{36, perGroup},
		{40, fs.inodes}, // sizes as powers of two above 1024
		{48, now},
		{64, now},
		{264, now},
		{76, 1},
		{84, firstInode},
		{92, compatible},
		{96, incompatible},
		{100, readOnlyToo},
		{352, 1}, // hashes of names are of signed bytes
	} {
		binary.LittleEndian.PutUint32(b[f.at:], f.value)
	}
	for _, f := range []struct {
		at    uint32
		value uint16
	}{{54, 0xffff}, {56, 0xEF53}, {58, 1}, {60, 1}, {88, inodeSize}, {90, uint16(group)}, {348, inodeUsed - 128}, {350, inodeUsed - 128}} { //nolint:gosec // mostGroups bounds it
		binary.LittleEndian.PutUint16(b[f.at:], f.value)
	}
	copy(b[104:120], fs.o.UUID[:])
	copy(b[120:136], fs.o.Label)
	copy(b[236:252], fs.o.HashSeed[:])
	b[252] = 1 // hashes are half MD4
	b[372] = 4 // 16 groups stand together
	return b
}
