package scan

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/sbom"
)

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	maxBytes = 64 << 30 // of all layers, uncompressed
)

// A layer is what is in a layer of an image, whatever is below it and above it.
type layer struct {
	Files []file // that name packages, or ought to
	Hides []byte // marks of what it does to what is below it, one behind the other
	// Libraries are the paths of shared libraries, and of links to them, where the system's linker looks.
	Libraries []string
	Entries   int   // files and folders
	Bytes     int64 // uncompressed
}

// A file is what one file of a layer says.
type file struct {
	Name     string // without a slash at its begin
	Packages []sbom.Package
	Python   []dist
	System   sbom.System
	Etc      bool // the system is that of /etc/os-release
	Unread   []string
}

// What a layer does to what is below it.
const (
	isThere  = 'f' // a file takes the place
	isHollow = 'd' // nothing below a folder is left
)

// A mark stands for a path, and what a layer does to it. It is short, since a layer may have millions, and
// nobody can make two paths of one mark.
type mark [12]byte

func markOf(kind byte, name string) (m mark) {
	sum := sha256.Sum256(append([]byte{kind}, name...))
	copy(m[:], sum[:])
	return m
}

func (l *layer) hide(kind byte, name string) {
	m := markOf(kind, name)
	l.Hides = append(l.Hides, m[:]...)
}

func (l *layer) marks() iter.Seq[mark] {
	return func(yield func(mark) bool) {
		for m := range slices.Chunk(l.Hides, len(mark{})) {
			if len(m) != len(mark{}) || !yield(mark(m)) {
				return
			}
		}
	}
}

// A reading is a layer that is being read.
type reading struct {
	*layer
	at    map[string]int // files by name: the last one of a name counts
	spool *os.File       // for what is read here and there
}

// read reads a layer to its end, so that whoever opens it can compare it with its digest.
func read(ctx context.Context, l v1.Layer) (_ *layer, err error) {
	r, err := l.Uncompressed()
	if err != nil {
		return nil, err
	}
	in := &reading{layer: &layer{}, at: map[string]int{}}
	defer func() { err = errors.Join(err, r.Close(), in.close()) }()
	counted := &counted{Reader: r}
	tr := tar.NewReader(counted)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		if err := in.entry(h, tr); err != nil {
			return nil, err
		}
	}
	if _, err := io.Copy(io.Discard, counted); err != nil {
		return nil, err
	}
	in.Bytes = counted.n
	in.Files = slices.DeleteFunc(in.Files, func(f file) bool { return f.Name == "" })
	return in.layer, nil
}

// A counted reader ends with an error where there is too much.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.n += int64(n); c.n > maxBytes {
		return n, &TooLargeError{fmt.Sprintf("more than %d GB in its layers", maxBytes>>30)}
	}
	return n, err
}

// entry reads an entry of a layer.
func (in *reading) entry(h *tar.Header, r io.Reader) error {
	if in.Entries++; in.Entries > maxEntries {
		return &TooLargeError{fmt.Sprintf("more than %d files", maxEntries)}
	}
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	if gone, ok := strings.CutPrefix(base, whiteout); ok {
		if base == opaque {
			in.hide(isHollow, dir)
		} else {
			in.hide(isThere, path.Join(dir, gone))
		}
		return nil
	}
	if h.Typeflag == tar.TypeDir {
		return nil
	}
	in.hide(isThere, name)
	if isLibrary(dir, base) {
		in.Libraries = append(in.Libraries, name)
	}
	if i, ok := in.at[name]; ok {
		in.Files[i] = file{}
		delete(in.at, name)
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	k := kindOf(name, h.Size, fs.FileMode(h.Mode&0o777)) //nolint:gosec // masked
	if k == nil {
		return nil
	}
	f := &finder{}
	c, err := in.content(f, name, h.Size, r)
	if err != nil {
		return err
	}
	if c != nil {
		f.read(k, c)
	}
	if said := (file{name, f.found.Packages, f.python, f.found.System, f.etc, f.found.Unread}); len(said.Packages)+len(said.Unread) > 0 || said.System != (sbom.System{}) {
		in.at[name] = len(in.Files)
		in.Files = append(in.Files, said)
	}
	return nil
}

// isLibrary reports whether a file is a shared library by its name, in a folder where the system's linker looks: lib, lib64 and
// those below usr and usr/local, and the folder of a machine's libraries in one of them, such as x86_64-linux-gnu.
func isLibrary(dir, base string) bool {
	if !strings.HasSuffix(base, ".so") && !strings.Contains(base, ".so.") {
		return false
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(dir, "usr/"), "local/")
	top, below, _ := strings.Cut(rest, "/")
	return (top == "lib" || top == "lib64") && (below == "" || strings.Contains(below, "-linux-") && !strings.Contains(below, "/"))
}

const inMemory = 16 << 20 // bytes of a file that is kept in memory

// content keeps a file so that it can be read anywhere; nil is one that is not worth it.
func (in *reading) content(f *finder, name string, size int64, r io.Reader) (*content, error) {
	if size > maxProgram {
		f.unread(name, fmt.Errorf("has %d bytes, more than the %d that are read", size, maxProgram))
		return nil, nil //nolint:nilnil // the error is noted, and is none of the scan
	}
	head := make([]byte, min(size, 4))
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	if size > maxText && string(head) != "\x7fELF" && !bytes.HasPrefix(head, []byte("PK")) {
		f.unread(name, fmt.Errorf("has %d bytes, more than the %d that are read", size, maxText))
		return nil, nil //nolint:nilnil // the same
	}
	all := io.MultiReader(bytes.NewReader(head), r)
	if size <= inMemory {
		data := make([]byte, size)
		if _, err := io.ReadFull(all, data); err != nil {
			return nil, err
		}
		return bytesOf(name, data), nil
	}
	if in.spool == nil {
		f, err := os.CreateTemp("", "fnb-scan-")
		if err != nil {
			return nil, err
		}
		in.spool = f
	}
	if err := in.spool.Truncate(0); err != nil {
		return nil, err
	}
	if _, err := in.spool.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if _, err := io.Copy(in.spool, all); err != nil {
		return nil, err
	}
	return &content{name: name, size: size, at: in.spool}, nil
}

func (in *reading) close() error {
	if in.spool == nil {
		return nil
	}
	return errors.Join(in.spool.Close(), os.Remove(in.spool.Name()))
}
