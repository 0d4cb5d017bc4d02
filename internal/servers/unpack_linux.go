package servers

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Marks of a layer that remove what the layers below have.
const (
	whiteoutPrefix = ".wh."
	whiteoutAll    = ".wh..wh..opq"
)

// unpack applies an image's layers, from the lowest to the topmost, to a new
// folder.
func unpack(img v1.Image, dir string) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		if err := unpackLayer(root, layer); err != nil {
			return err
		}
	}
	return nil
}

func unpackLayer(root *os.Root, layer v1.Layer) (err error) {
	stream, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	tr := tar.NewReader(stream)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			// The rest is read so that the layer's digest is checked.
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
	if err == nil && !(h.Typeflag == tar.TypeDir && old.IsDir()) {
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
