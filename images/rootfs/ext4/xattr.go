package ext4

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// xattrs are the extended attributes of a node as they are written: in its inode, or in a block of their own.
type xattrs struct {
	inode []byte
	block []byte
	at    uint32 // the block's number
}

const (
	xattrMagic  = 0xEA020000
	inodeXattrs = inodeSize - inodeUsed // room for attributes in an inode
)

type xattr struct {
	index byte // of the prefix
	name  string
	value string
}

// prefixes are those that the file system abbreviates. What the kernel keeps in another form, such as access lists, has none.
func prefixes() []prefix { return []prefix{{"user.", 1}, {"trusted.", 4}, {"security.", 6}} }

type prefix struct {
	text  string
	index byte
}

// layAttributes decides where a node's attributes stand. One that a file system keeps in no such form is left out.
func (n *Node) layAttributes() error {
	var list []xattr
	for _, full := range slices.Sorted(maps.Keys(n.Xattrs)) {
		for _, p := range prefixes() {
			if name, ok := strings.CutPrefix(full, p.text); ok && name != "" {
				if len(name) > longestName {
					return fmt.Errorf("the attribute %.40s… has a name of %d bytes", name, len(name))
				}
				list = append(list, xattr{p.index, name, n.Xattrs[full]})
			}
		}
	}
	n.attrs = xattrs{}
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b xattr) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name))
	})
	inode := make([]byte, inodeXattrs)
	binary.LittleEndian.PutUint32(inode, xattrMagic)
	if packAttributes(inode[4:], 0, list) {
		n.attrs.inode = inode
		return nil
	}
	const head = 32
	block := make([]byte, blockSize)
	if !packAttributes(block[head:], head, list) {
		return fmt.Errorf("its extended attributes do not fit into %d bytes", blockSize)
	}
	binary.LittleEndian.PutUint32(block, xattrMagic)
	binary.LittleEndian.PutUint32(block[4:], 1) // references
	binary.LittleEndian.PutUint32(block[8:], 1) // blocks
	var hash uint32
	for at := head; binary.LittleEndian.Uint32(block[at:]) != 0; at += 16 + (int(block[at])+3)&^3 {
		hash = hash<<16 ^ hash>>16 ^ binary.LittleEndian.Uint32(block[at+12:])
	}
	binary.LittleEndian.PutUint32(block[12:], hash)
	n.attrs.block = block
	return nil
}

// packAttributes writes entries from the beginning of room and values from its end. Offsets of values count from before bytes
// ahead of room. It reports whether all have room.
func packAttributes(room []byte, before int, list []xattr) bool {
	at, end := 0, len(room)
	for _, x := range list {
		size, padded := 16+(len(x.name)+3)&^3, (len(x.value)+3)&^3
		if at+size+4 > end-padded { // four bytes of zero end the list
			return false
		}
		end -= padded
		e := room[at:]
		e[0], e[1] = byte(len(x.name)), x.index
		binary.LittleEndian.PutUint16(e[2:], uint16(end+before))   //nolint:gosec // a block at most
		binary.LittleEndian.PutUint32(e[8:], uint32(len(x.value))) //nolint:gosec // a block at most
		copy(e[16:], x.name)
		copy(room[end:], x.value)
		binary.LittleEndian.PutUint32(e[12:], hashAttribute(x.name, room[end:end+padded]))
		at += size
	}
	return true
}

// hashAttribute is what the kernel finds equal attributes by.
func hashAttribute(name string, padded []byte) uint32 {
	var h uint32
	for i := range len(name) {
		h = h<<5 ^ h>>27 ^ uint32(name[i])
	}
	for ; len(padded) > 0; padded = padded[4:] {
		h = h<<16 ^ h>>16 ^ binary.LittleEndian.Uint32(padded)
	}
	return h
}
