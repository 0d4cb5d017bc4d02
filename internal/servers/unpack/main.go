// Command unpack applies one image layer, a tar file that may be gzipped, from
// standard input to a folder. It never writes outside the folder.
//
// It is a program of its own so that tests under the race detector do not pay
// for each byte of a layer.
package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Marks of a layer that remove what the layers below have.
const (
	whiteoutPrefix = ".wh."
	whiteoutAll    = ".wh..wh..opq"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: unpack DIR <LAYER")
		os.Exit(2)
	}
	if err := unpack(os.Args[1], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "unpack:", err)
		os.Exit(1)
	}
}

// unpack applies a layer to a folder.
func unpack(dir string, layer io.Reader) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	stream := bufio.NewReaderSize(layer, 1<<20)
	var plain io.Reader = stream
	if magic, err := stream.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		if plain, err = gzip.NewReader(stream); err != nil {
			return err
		}
	}
	tr := tar.NewReader(plain)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			// Whoever checks the layer's digest wants to see all of it read.
			_, err := io.Copy(io.Discard, stream)
			return err
		}
		if err != nil {
			return err
		}
		if err := unpackEntry(root, h, tr); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// unpackEntry applies one entry of a layer to what the layers below left.
func unpackEntry(root *os.Root, h *tar.Header, r io.Reader) error {
	name := inRoot(h.Name)
	if name == "" {
		return nil
	}
	dir, base := path.Split(name)
	if base == whiteoutAll {
		return removeChildren(root, path.Clean(dir))
	}
	if removed, ok := strings.CutPrefix(base, whiteoutPrefix); ok {
		return root.RemoveAll(dir + removed)
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	old, err := root.Lstat(name)
	if err == nil && (h.Typeflag != tar.TypeDir || !old.IsDir()) {
		if err := root.RemoveAll(name); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	case tar.TypeReg:
		if err := writeEntry(root, name, r); err != nil {
			return err
		}
	case tar.TypeSymlink:
		return errors.Join(root.Symlink(h.Linkname, name), root.Lchown(name, h.Uid, h.Gid))
	case tar.TypeLink:
		return root.Link(inRoot(h.Linkname), name)
	default:
		return nil // devices come from the runtime
	}
	// The owner first: a change of owner takes set-user-id bits away.
	mode := h.FileInfo().Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	return errors.Join(root.Lchown(name, h.Uid, h.Gid), root.Chmod(name, mode))
}

// inRoot returns a layer's path relative to the root, and "" for the root.
func inRoot(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

func removeChildren(root *os.Root, dir string) error {
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if err := root.RemoveAll(path.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func writeEntry(root *os.Root, name string, r io.Reader) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
