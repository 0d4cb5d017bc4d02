package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images/rootfs/ext4"
)

// A tree is what the layers of an image make together. It is names in memory: nothing of it is a path of this machine.
type tree struct {
	root    *ext4.Node
	layer   map[*ext4.Node]int   // which layer a node is of
	cleared map[*ext4.Node]int   // which layer has cleared a folder; the lowest has nothing to clear
	from    map[place]*ext4.Node // where the contents of files are
	seen    map[*ext4.Node]bool  // nodes that are in the whole tree
}

// A place is an entry of a layer, both counted from 0.
type place struct{ layer, entry int }

const (
	whiteout    = ".wh."
	opaque      = ".wh..wh..opq"
	mostLinks   = 255 // symbolic links on the way to a file
	xattrRecord = "SCHILY.xattr."
)

// readTree reads what is in the layers, the lowest first.
func readTree(ctx context.Context, layers []v1.Layer) (*tree, error) {
	t := &tree{
		root:  &ext4.Node{Mode: ext4.TypeDir | 0o755, Children: map[string]*ext4.Node{}},
		layer: map[*ext4.Node]int{}, from: map[place]*ext4.Node{}, cleared: map[*ext4.Node]int{},
	}
	err := eachEntry(ctx, layers, func(at place, h *tar.Header, _ io.Reader) error {
		if err := t.add(at, h); err != nil {
			return fmt.Errorf("%.300q: %w", h.Name, err)
		}
		return nil
	})
	return t, err
}

// eachEntry calls visit with each entry of the layers.
func eachEntry(ctx context.Context, layers []v1.Layer, visit func(at place, h *tar.Header, r io.Reader) error) error {
	for i, l := range layers {
		if err := eachEntryOf(ctx, l, func(entry int, h *tar.Header, r io.Reader) error { return visit(place{i, entry}, h, r) }); err != nil {
			return fmt.Errorf("layer %d: %w", i+1, err)
		}
	}
	return nil
}

func eachEntryOf(ctx context.Context, l v1.Layer, visit func(entry int, h *tar.Header, r io.Reader) error) (err error) {
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	tr := tar.NewReader(r)
	for entry := 0; ; entry++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := visit(entry, h, tr); err != nil {
			return err
		}
	}
}

// add adds an entry of a layer, as container engines do.
func (t *tree) add(at place, h *tar.Header) error {
	name := path.Clean("/" + h.Name)
	node, err := t.node(h)
	if node == nil || err != nil {
		return err
	}
	if name == "/" {
		if node.IsDir() {
			t.adopt(t.root, node, at.layer)
		}
		return nil
	}
	parent, err := t.folder(path.Dir(name), at.layer, mostLinks)
	if err != nil {
		return err
	}
	base := path.Base(name)
	if gone, ok := strings.CutPrefix(base, whiteout); ok {
		if base == opaque {
			t.clear(parent, at.layer)
		} else if n := parent.Children[gone]; n != nil && t.layer[n] < at.layer {
			t.remove(parent, gone)
		}
		return nil
	}
	if h.Typeflag == tar.TypeLink {
		if node, err = t.find(path.Clean("/" + h.Linkname)); err != nil {
			return fmt.Errorf("the hard link's target: %w", err)
		}
		if node.IsDir() {
			return errors.New("a hard link of a folder")
		}
		if parent.Children[base] == node {
			return nil
		}
	} else if there := parent.Children[base]; there != nil && there.IsDir() && node.IsDir() {
		t.adopt(there, node, at.layer)
		return nil
	} else {
		t.layer[node] = at.layer
	}
	parent.Children[base] = node
	if h.Typeflag == tar.TypeReg {
		t.from[at] = node
	}
	return nil
}

// adopt gives a folder what a later layer says of it.
func (t *tree) adopt(dir, as *ext4.Node, layer int) {
	as.Children = dir.Children
	*dir = *as
	t.layer[dir] = layer
}

// clear removes from a folder what layers below one have put there. It does so once: what comes later is of that layer.
func (t *tree) clear(dir *ext4.Node, layer int) {
	if t.cleared[dir] == layer {
		return
	}
	t.cleared[dir] = layer
	for name, n := range maps.Clone(dir.Children) {
		switch {
		case t.layer[n] < layer:
			t.remove(dir, name)
		case n.IsDir():
			t.clear(n, layer)
		}
	}
}

func (t *tree) remove(dir *ext4.Node, name string) { delete(dir.Children, name) }

// folder returns the folder of an absolute path. What of it is missing is made, and symbolic links are followed inside the tree.
func (t *tree) folder(name string, layer, links int) (*ext4.Node, error) {
	dir, at := t.root, "/"
	rest := strings.Trim(name, "/")
	for rest != "" {
		part, more, _ := strings.Cut(rest, "/")
		next := dir.Children[part]
		switch {
		case next == nil:
			next = &ext4.Node{Mode: ext4.TypeDir | 0o755, Time: dir.Time, Children: map[string]*ext4.Node{}}
			dir.Children[part], t.layer[next] = next, layer
		case next.Link != "":
			if links--; links < 0 {
				return nil, errors.New("too many symbolic links on its way")
			}
			return t.folder(path.Join(target(at, next.Link), more), layer, links)
		case !next.IsDir():
			return nil, fmt.Errorf("%s is not a folder", path.Join(at, part))
		}
		dir, at, rest = next, path.Join(at, part), more
	}
	return dir, nil
}

// target is where a symbolic link in the folder at leads to.
func target(at, link string) string {
	if path.IsAbs(link) {
		return path.Clean(link)
	}
	return path.Clean(path.Join(at, link))
}

// find returns what is at an absolute path, without following a symbolic link at its end.
func (t *tree) find(name string) (*ext4.Node, error) {
	return t.findVia(name, mostLinks)
}

func (t *tree) findVia(name string, links int) (*ext4.Node, error) {
	n, at := t.root, "/"
	rest := strings.Trim(name, "/")
	for rest != "" {
		part, more, _ := strings.Cut(rest, "/")
		next := n.Children[part]
		if next == nil {
			return nil, fmt.Errorf("%s is not there", path.Join(at, part))
		}
		if next.Link != "" && more != "" {
			if links--; links < 0 {
				return nil, errors.New("too many symbolic links on its way")
			}
			return t.findVia(path.Join(target(at, next.Link), more), links)
		}
		n, at, rest = next, path.Join(at, part), more
	}
	return n, nil
}

// node makes a node of an entry; nil is one that is no file of any kind.
func (t *tree) node(h *tar.Header) (*ext4.Node, error) {
	n := &ext4.Node{Mode: uint16(h.Mode & 0o7777), UID: uint32(h.Uid), GID: uint32(h.Gid), Time: h.ModTime} //nolint:gosec // masked; ids are 32 bits
	if h.Uid < 0 || h.Gid < 0 || h.Uid > 1<<32-2 || h.Gid > 1<<32-2 {
		return nil, fmt.Errorf("it is of user %d and group %d, which nobody can be", h.Uid, h.Gid)
	}
	switch h.Typeflag {
	case tar.TypeReg:
		n.Mode |= ext4.TypeFile
		n.Size = h.Size
	case tar.TypeDir:
		n.Mode |= ext4.TypeDir
		n.Children = map[string]*ext4.Node{}
	case tar.TypeSymlink:
		n.Mode |= ext4.TypeLink
		n.Link = h.Linkname
	case tar.TypeChar:
		n.Mode |= ext4.TypeChar
		n.Device = ext4.Device(h.Devmajor, h.Devminor)
	case tar.TypeBlock:
		n.Mode |= ext4.TypeBlock
		n.Device = ext4.Device(h.Devmajor, h.Devminor)
	case tar.TypeFifo:
		n.Mode |= ext4.TypeFIFO
	case tar.TypeLink:
	default:
		return nil, nil //nolint:nilnil // what tar itself has to say, such as comments
	}
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, xattrRecord); ok && !strings.HasPrefix(name, "trusted.overlay.") {
			if n.Xattrs == nil {
				n.Xattrs = map[string]string{}
			}
			n.Xattrs[name] = value
		}
	}
	return n, nil
}
