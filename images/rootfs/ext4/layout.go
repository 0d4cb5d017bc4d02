package ext4

import (
	"errors"
	"fmt"
	"time"
)

const (
	blockSize    = 4096
	perGroup     = 8 * blockSize // blocks of a group, whose bitmap is one block
	inodeSize    = 256
	inodeUsed    = 160 // of it, by what is no attribute
	perTable     = blockSize / inodeSize
	rootInode    = 2
	firstInode   = 11 // that no program has reserved
	descriptor   = 32 // bytes for a group
	longestRun   = 32768
	inInode      = 4                     // extents that an inode holds
	perIndex     = (blockSize - 12) / 12 // those that a block of them holds
	largestFile  = 1 << 38
	mostGroups   = 1 << 15 // 4 TiB
	spareInodes  = 256
	spareDivisor = 8 // a part of the inodes that are used is spare beside
)

// Options are what a file system has beside its files.
type Options struct {
	UUID     [16]byte
	HashSeed [16]byte  // of the folders' indexes, which whoever mounts it makes
	Label    string    // at most 16 bytes
	Time     time.Time // when it was made
	Free     int64     // bytes that are left free
}

// An FS is a file system whose layout is decided.
type FS struct {
	o      Options
	nodes  []*Node // by their inodes
	groups uint32
	inodes uint32 // of a group
	table  uint32 // blocks of a group's inode table
	blocks uint32

	next    uint32 // the first block that nobody has
	used    []byte // a bit for each block
	blockAt []uint32
	inodeAt []uint32
	tableAt []uint32
}

// An extent is a run of blocks.
type extent struct{ start, count uint32 }

// Lay decides where everything of the tree below root stands. A folder lost+found is added.
func Lay(root *Node, o Options) (*FS, error) {
	if !root.IsDir() {
		return nil, errors.New("the root is not a folder")
	}
	if n, ok := root.Children["lost+found"]; ok && !n.IsDir() {
		return nil, errors.New("lost+found is not a folder")
	} else if !ok {
		root.Children["lost+found"] = &Node{Mode: TypeDir | 0o700, Time: o.Time}
	}
	nodes, err := number(root, root.Children["lost+found"])
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if err := n.layAttributes(); err != nil {
			return nil, err
		}
	}
	fs := &FS{o: o, nodes: nodes, groups: 1}
	for {
		if err := fs.allocate(); err != nil {
			return nil, err
		}
		end := int64(fs.next) + (o.Free+blockSize-1)/blockSize
		groups := (end + perGroup - 1) / perGroup
		if rest := end % perGroup; rest != 0 && rest < int64(fs.head())+64 && groups > 1 {
			end += int64(fs.head()) + 64 - rest // a last group of nothing but a copy of the descriptors is none
		}
		if groups > mostGroups {
			return nil, fmt.Errorf("%d bytes are more than a file system of this kind has", end*blockSize)
		}
		if groups <= int64(fs.groups) {
			fs.blocks = uint32(end) //nolint:gosec // mostGroups bounds it
			return fs, nil
		}
		fs.groups = uint32(groups) //nolint:gosec // mostGroups bounds it
	}
}

// Size is how many bytes the file system has.
func (fs *FS) Size() int64 { return int64(fs.blocks) * blockSize }

// head is how many blocks the superblock and the groups' descriptors take, where a group has a copy of them.
func (fs *FS) head() uint32 { return 1 + (fs.groups*descriptor+blockSize-1)/blockSize }

// copied reports whether a group begins with a copy of the superblock (sparse_super).
func copied(group uint32) bool {
	if group <= 1 {
		return true
	}
	for _, base := range []uint32{3, 5, 7} {
		p := base
		for p < group {
			p *= base
		}
		if p == group {
			return true
		}
	}
	return false
}

// allocate gives blocks to everything, for a number of groups.
func (fs *FS) allocate() error {
	count := uint32(len(fs.nodes)) + firstInode //nolint:gosec // memory bounds it
	count += count/spareDivisor + spareInodes
	fs.inodes = ((count+fs.groups-1)/fs.groups + perTable - 1) / perTable * perTable
	for fs.inodes > perGroup {
		fs.groups++
		fs.inodes = ((count+fs.groups-1)/fs.groups + perTable - 1) / perTable * perTable
	}
	fs.table = fs.inodes / perTable
	fs.next, fs.used = fs.head(), nil
	fs.blockAt, fs.inodeAt, fs.tableAt = nil, nil, nil
	for range fs.groups {
		fs.blockAt = append(fs.blockAt, fs.together(1))
	}
	for range fs.groups {
		fs.inodeAt = append(fs.inodeAt, fs.together(1))
	}
	for range fs.groups {
		fs.tableAt = append(fs.tableAt, fs.together(fs.table))
	}
	for _, n := range fs.nodes {
		if n.attrs.block != nil {
			n.attrs.at = fs.together(1)
		}
		n.extents, n.index = fs.runs(n.contentBlocks()), 0
		if len(n.extents) > perIndex {
			return fmt.Errorf("a file of %d bytes is in too many pieces", n.Size)
		}
		if len(n.extents) > inInode {
			n.index = fs.together(1)
		}
	}
	return nil
}

// contentBlocks is how many blocks a node's content takes.
func (n *Node) contentBlocks() uint32 {
	switch n.Mode & typeMask {
	case TypeFile:
		return uint32((n.Size + blockSize - 1) / blockSize) //nolint:gosec // largestFile bounds it
	case TypeDir:
		return uint32(len(n.entries()) / blockSize) //nolint:gosec // memory bounds it
	case TypeLink:
		if len(n.Link) >= fastLink {
			return 1
		}
	}
	return 0
}

// taken is the end of the copies of superblock and descriptors that block b stands in, or else 0.
func (fs *FS) taken(b uint32) uint32 {
	if g := b / perGroup; copied(g) && b%perGroup < fs.head() {
		return g*perGroup + fs.head()
	}
	return 0
}

// together takes count blocks in a row, fewer than a group has.
func (fs *FS) together(count uint32) uint32 {
	for {
		start, last := fs.next, fs.next+count-1
		if end := fs.taken(start); end != 0 {
			fs.next = end
			continue
		}
		if first := last / perGroup * perGroup; first > start && copied(last/perGroup) {
			fs.next = first
			continue
		}
		fs.mark(start, count)
		fs.next = last + 1
		return start
	}
}

// runs takes count blocks in as few pieces as can be.
func (fs *FS) runs(count uint32) []extent {
	var out []extent
	for count > 0 {
		if end := fs.taken(fs.next); end != 0 {
			fs.next = end
		}
		n := min(count, longestRun)
		for g := fs.next/perGroup + 1; g*perGroup < fs.next+n; g++ {
			if copied(g) {
				n = g*perGroup - fs.next
			}
		}
		fs.mark(fs.next, n)
		out = append(out, extent{fs.next, n})
		fs.next += n
		count -= n
	}
	return out
}

// mark notes that blocks are used.
func (fs *FS) mark(start, count uint32) {
	if need := int((start + count + 7) / 8); need > len(fs.used) {
		fs.used = append(fs.used, make([]byte, need-len(fs.used))...)
	}
	for b := start; b < start+count; b++ {
		fs.used[b/8] |= 1 << (b % 8)
	}
}
