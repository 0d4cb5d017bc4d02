package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images/rootfs/ext4"
)

// What is added to the files of an image.
const (
	// InitPath is process 1: to be named to the kernel as init=.
	InitPath = "/.fnb/init"
	// bootPath has what process 1 starts.
	bootPath = "/.fnb/boot"
)

// boot says what process 1 starts, once the machine is ready. Process 1 is to be small, so it is no JSON: each line is a key and a
// string in Go's quotes.
func boot(c v1.Config) []byte {
	var b []byte
	add := func(key, value string) { b = append(strconv.AppendQuote(append(b, key+" "...), value), '\n') }
	for _, arg := range slices.Concat(c.Entrypoint, c.Cmd) {
		add("arg", arg)
	}
	for _, pair := range c.Env {
		add("env", pair)
	}
	if c.WorkingDir != "" {
		add("directory", c.WorkingDir)
	}
	if c.User != "" {
		add("user", c.User)
	}
	return b
}

// A part of the content is left free beside it, for what the function writes.
const freePart = 32

// Write writes an image's files into an empty file, as an ext4 file system, and adds the program that becomes process 1 of a
// virtual machine. The same image and the same program make the same bytes: the file system's identity is that of the image,
// its time the image's.
func Write(ctx context.Context, to *os.File, img v1.Image, init []byte) error {
	config, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("reading the image's configuration: %w", err)
	}
	id, err := img.ConfigName()
	if err != nil {
		return fmt.Errorf("reading the image's configuration: %w", err)
	}
	layers, err := img.Layers()
	if err != nil {
		return fmt.Errorf("reading the image's layers: %w", err)
	}
	t, err := readTree(ctx, layers)
	if err != nil {
		return err
	}
	added := t.addBoot(config, init)
	sum := sha256.Sum256([]byte(id.String()))
	o := ext4.Options{Time: config.Created.Time, Label: "fnb", Free: t.bytes() / freePart}
	copy(o.UUID[:], sum[:16])
	o.UUID[6], o.UUID[8] = o.UUID[6]&0x0f|0x80, o.UUID[8]&0x3f|0x80 // version 8: whatever its maker chooses
	copy(o.HashSeed[:], sum[16:])
	fs, err := ext4.Lay(t.root, o)
	if err != nil {
		return err
	}
	if err := put(ctx, fs, to, layers, t, added); err != nil {
		return fmt.Errorf("writing a file system of %d MB: %w", (fs.Size()+1e6-1)/1e6, err)
	}
	return nil
}

// put writes a file system whose layout is decided.
func put(ctx context.Context, fs *ext4.FS, to *os.File, layers []v1.Layer, t *tree, added []addition) error {
	if err := to.Truncate(fs.Size()); err != nil {
		return err
	}
	for _, a := range added {
		if err := fs.PutContent(to, a.node, bytes.NewReader(a.content)); err != nil {
			return err
		}
	}
	err := eachEntry(ctx, layers, func(at place, _ *tar.Header, r io.Reader) error {
		n := t.from[at]
		if n == nil || !t.seen[n] {
			return nil
		}
		return fs.PutContent(to, n, r)
	})
	if err != nil {
		return err
	}
	return fs.Finish(to)
}

// An addition is a file that no layer has.
type addition struct {
	node    *ext4.Node
	content []byte
}

// addBoot adds the init, what it starts, and the folders and files that a machine has and an image may lack.
func (t *tree) addBoot(config *v1.ConfigFile, init []byte) []addition {
	now := config.Created.Time
	if t.root.Time.IsZero() {
		t.root.Time = now
	}
	for _, name := range []string{"dev", "etc", "proc", "run", "sys", "tmp"} {
		if t.root.Children[name] == nil {
			n := folder(now)
			if name == "tmp" {
				n.Mode |= 0o1777
			}
			t.root.Children[name] = n
		}
	}
	t.addDevices(now)
	delete(t.root.Children, path.Base(path.Dir(InitPath)))
	own := folder(now)
	t.root.Children[path.Base(path.Dir(InitPath))] = own
	var added []addition
	for name, f := range map[string]struct {
		mode    uint16
		content []byte
	}{path.Base(bootPath): {0o644, boot(config.Config)}, path.Base(InitPath): {0o755, init}} {
		n := &ext4.Node{Mode: ext4.TypeFile | f.mode, Size: int64(len(f.content)), Time: now}
		own.Children[name] = n
		added = append(added, addition{n, f.content})
	}
	for _, name := range []string{"root", "rw"} { // where the init mounts a root that can be written
		own.Children[name] = folder(now)
	}
	if etc, err := t.folder("/etc", 0, mostLinks); err == nil {
		if n := etc.Children["resolv.conf"]; n == nil || n.Link != "" { // to be written or mounted over
			etc.Children["resolv.conf"] = &ext4.Node{Mode: ext4.TypeFile | 0o644, Time: now}
		}
	}
	return added
}

// addDevices adds what process 1 has to have before it mounts anything: a kernel that mounts no devices opens these.
func (t *tree) addDevices(now time.Time) {
	dev := t.root.Children["dev"]
	if !dev.IsDir() {
		return
	}
	for name, n := range map[string]*ext4.Node{
		"console": {Mode: ext4.TypeChar | 0o600, Device: ext4.Device(5, 1), Time: now},
		"null":    {Mode: ext4.TypeChar | 0o666, Device: ext4.Device(1, 3), Time: now},
	} {
		if dev.Children[name] == nil {
			dev.Children[name] = n
		}
	}
}

func folder(at time.Time) *ext4.Node {
	return &ext4.Node{Mode: ext4.TypeDir | 0o755, Time: at, Children: map[string]*ext4.Node{}}
}

// bytes is how large the files are together, and settles which are there.
func (t *tree) bytes() int64 {
	t.seen = map[*ext4.Node]bool{}
	sum := int64(0)
	for todo := []*ext4.Node{t.root}; len(todo) > 0; todo = todo[1:] {
		for _, n := range todo[0].Children {
			if t.seen[n] {
				continue
			}
			t.seen[n] = true
			if sum += n.Size; n.IsDir() {
				todo = append(todo, n)
			}
		}
	}
	return sum
}
