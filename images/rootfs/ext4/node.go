package ext4

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Types of files, as the upper bits of a node's Mode have them.
const (
	TypeFIFO   = 0x1000
	TypeChar   = 0x2000
	TypeDir    = 0x4000
	TypeBlock  = 0x6000
	TypeFile   = 0x8000
	TypeLink   = 0xA000
	TypeSocket = 0xC000
	typeMask   = 0xF000
)

// A Node is a file, a folder, a symbolic link or a device. One that stands in several folders has several hard links.
type Node struct {
	Mode     uint16 // type and rights
	UID, GID uint32
	Time     time.Time
	Size     int64             // of a file
	Link     string            // of a symbolic link
	Device   uint32            // of a device, as [Device] makes it
	Xattrs   map[string]string // by full name, such as security.capability
	Children map[string]*Node  // of a folder

	number  uint32 // its inode
	parent  *Node  // of a folder
	links   int
	extents []extent // where its content stands
	index   uint32   // block that lists the extents if there are more than the inode holds
	attrs   xattrs
}

// IsDir reports whether the node is a folder.
func (n *Node) IsDir() bool { return n.Mode&typeMask == TypeDir }

// IsFile reports whether the node is a file with content.
func (n *Node) IsFile() bool { return n.Mode&typeMask == TypeFile }

// Device is a device's number as the kernel keeps it.
func Device(major, minor int64) uint32 {
	return uint32(minor&0xff) | uint32(major&0xfff)<<8 | uint32(minor&0xfff00)<<12 //nolint:gosec // each part is masked
}

const (
	longestName = 255
	mostLinks   = 65000
	fastLink    = 60 // a symbolic link that is shorter stands in its inode
)

// number gives each node an inode, folders before what is in them, and counts its links. It returns all in order.
func number(root, lostFound *Node) ([]*Node, error) {
	root.number, root.parent, root.links = rootInode, root, 2
	lostFound.number = firstInode
	all := []*Node{root, lostFound}
	next := uint32(firstInode + 1)
	for todo := []*Node{root}; len(todo) > 0; todo = todo[1:] {
		dir := todo[0]
		for _, name := range slices.Sorted(maps.Keys(dir.Children)) {
			n := dir.Children[name]
			if err := check(name, n); err != nil {
				return nil, err
			}
			n.links++
			if n.links > 1 {
				if n.IsDir() || n.links > mostLinks {
					return nil, fmt.Errorf("%s: it stands in too many folders", name)
				}
				continue
			}
			if n != lostFound {
				n.number = next
				next++
				all = append(all, n)
			}
			if n.IsDir() {
				n.parent, n.links = dir, 2
				dir.links++
				todo = append(todo, n)
			}
		}
	}
	return all, nil
}

func check(name string, n *Node) error {
	switch {
	case len(name) > longestName:
		return fmt.Errorf("%.40s…: the name has %d bytes; a file system takes %d", name, len(name), longestName)
	case n.Mode&typeMask == TypeLink && (n.Link == "" || len(n.Link) >= blockSize):
		return fmt.Errorf("%s: a link's target has %d bytes; a file system takes 1 to %d", name, len(n.Link), blockSize-1)
	case n.Size < 0 || n.Size > largestFile:
		return fmt.Errorf("%s: it has %d bytes; this file system takes %d", name, n.Size, int64(largestFile))
	}
	return nil
}

// direntType is the type of a node in a folder.
func (n *Node) direntType() byte {
	return map[uint16]byte{TypeFile: 1, TypeDir: 2, TypeChar: 3, TypeBlock: 4, TypeFIFO: 5, TypeSocket: 6, TypeLink: 7}[n.Mode&typeMask]
}

// entries is the content of a folder: whole blocks, of which no entry leaves one.
func (n *Node) entries() []byte {
	var out []byte
	last := -1 // where the last entry of the block begins
	put := func(name string, of *Node) {
		size := (8 + len(name) + 3) &^ 3
		if room := blockSize - len(out)%blockSize; len(out)%blockSize != 0 && room < size || last < 0 {
			out = closeBlock(out, last)
		}
		last = len(out)
		out = binary.LittleEndian.AppendUint32(out, of.number)
		out = binary.LittleEndian.AppendUint16(out, uint16(size)) //nolint:gosec // a name has 255 bytes at most
		out = append(out, byte(len(name)), of.direntType())
		out = append(out, name...)
		out = append(out, make([]byte, size-8-len(name))...)
	}
	put(".", n)
	put("..", n.parent)
	for _, name := range slices.Sorted(maps.Keys(n.Children)) {
		put(name, n.Children[name])
	}
	return closeBlock(out, last)
}

// closeBlock makes the last entry of a folder's block as long as the rest of the block.
func closeBlock(out []byte, last int) []byte {
	rest := (blockSize - len(out)%blockSize) % blockSize
	if last < 0 || rest == 0 {
		return out
	}
	binary.LittleEndian.PutUint16(out[last+4:], uint16(len(out)-last+rest)) //nolint:gosec // a block at most
	return append(out, make([]byte, rest)...)
}
