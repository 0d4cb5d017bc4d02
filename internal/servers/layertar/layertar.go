// Package layertar writes the layers of images as tars whose bytes depend on nothing but their
// content: begin with [WriteFile].
package layertar

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// A Writer writes one image layer: everything belongs to root unless said,
// parents come before children, and times are fixed.
type Writer struct {
	// Leave tells which files of a root [Writer.CopyDifference] leaves out; nil is none.
	Leave func(name string) bool

	tw   *tar.Writer
	seen map[string]bool
}

// WriteFile writes a gzipped layer in one step.
func WriteFile(path string, write func(*Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeOnce(f)) }()
	zw, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := &Writer{tw: tar.NewWriter(zw), seen: map[string]bool{}}
	if err := errors.Join(write(w), w.tw.Close(), zw.Close(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// closeOnce closes a file that may be closed already.
func closeOnce(f *os.File) error {
	if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

func (w *Writer) header(h *tar.Header) error {
	h.Format = tar.FormatPAX
	h.ModTime = time.Unix(0, 0)
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	w.seen[path.Clean(h.Name)] = true
	return w.tw.WriteHeader(h)
}

// Mkdir writes a folder of root's, and the folders above it, if they are not
// in the layer yet.
func (w *Writer) Mkdir(name string) error { return w.Dir(name, 0o755, 0) }

// Dir writes a folder with a mode and an owner, and the folders above it.
func (w *Writer) Dir(name string, mode fs.FileMode, owner int) error {
	if name == "." || w.seen[name] {
		return nil
	}
	if err := w.Mkdir(path.Dir(name)); err != nil {
		return err
	}
	bits := int64(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return w.header(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: bits, Uid: owner, Gid: owner})
}

// File writes a file of root's.
func (w *Writer) File(name string, mode int64, data []byte) error {
	if err := w.Mkdir(path.Dir(name)); err != nil {
		return err
	}
	if err := w.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := w.tw.Write(data)
	return err
}

// Symlink writes a link.
func (w *Writer) Symlink(name, target string) error {
	if err := w.Mkdir(path.Dir(name)); err != nil {
		return err
	}
	return w.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
}

// CopyTree writes a folder of this machine under another name, but for the
// paths in it that skip names.
func (w *Writer) CopyTree(from, to string, skip func(path string) bool) error {
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // it was only read from
	return fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if skip != nil && skip(p) {
			return fs.SkipDir
		}
		name := path.Join(to, p)
		switch {
		case d.IsDir():
			return w.Mkdir(name)
		case d.Type() == fs.ModeSymlink:
			target, err := root.Readlink(p)
			if err != nil {
				return err
			}
			return w.Symlink(name, target)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s: neither a file, a folder nor a link", p)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := root.ReadFile(p)
		if err != nil {
			return err
		}
		return w.File(name, int64(0o644|info.Mode().Perm()&0o111), data)
	})
}

// CopyFiles writes the files and links of a tar file whose names are wanted, with the folders above them.
func (w *Writer) CopyFiles(file string, wanted func(name string) bool) error {
	return readTar(file, func(h *tar.Header, r io.Reader) error {
		name := path.Clean(h.Name)
		if !wanted(name) || h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeSymlink {
			return nil
		}
		if h.Name = name; path.Dir(name) != "." {
			if err := w.Mkdir(path.Dir(name)); err != nil {
				return err
			}
		}
		if err := w.header(h); err != nil {
			return err
		}
		_, err := io.Copy(w.tw, r)
		return err
	})
}

// CopyDifference writes what the tar file full has and the tar file base has
// not; an empty base is an empty tar. What a container image has no use for is
// left out, see unwanted.
func (w *Writer) CopyDifference(base, full string) error {
	have := map[string]string{}
	if base != "" {
		err := readTar(base, func(h *tar.Header, r io.Reader) error {
			sum, err := fingerprint(h, r)
			have[h.Name] = sum
			return err
		})
		if err != nil {
			return err
		}
	}
	changed := map[string]bool{}
	err := readTar(full, func(h *tar.Header, r io.Reader) error {
		sum, err := fingerprint(h, r)
		changed[h.Name] = have[h.Name] != sum
		return err
	})
	if err != nil {
		return err
	}
	return readTar(full, func(h *tar.Header, r io.Reader) error {
		name := path.Clean(h.Name)
		if !changed[h.Name] || name == "." || unwanted(h, name) || w.Leave != nil && w.Leave(name) {
			return nil
		}
		if h.Typeflag == tar.TypeLink && !changed[h.Linkname] {
			return fmt.Errorf("%s is a hard link to %s of the layer below", h.Name, h.Linkname)
		}
		if h.Typeflag == tar.TypeLink {
			h.Linkname = path.Clean(h.Linkname)
		}
		if h.Name = name; h.Typeflag == tar.TypeDir {
			h.Name += "/"
		}
		if err := w.header(h); err != nil {
			return err
		}
		_, err := io.Copy(w.tw, r)
		return err
	})
}

// unwanted reports whether an entry of a Debian root is left out of an image:
// devices, documentation, translations, logs, caches, this machine's name and
// name servers, and the mark that keeps pip from installing.
func unwanted(h *tar.Header, name string) bool {
	if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock || h.Typeflag == tar.TypeFifo {
		return true
	}
	if h.Typeflag == tar.TypeDir {
		return false
	}
	if path.Base(name) == "EXTERNALLY-MANAGED" || name == "etc/resolv.conf" || name == "etc/hostname" {
		return true
	}
	for _, prefix := range []string{
		"usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/",
		"var/cache/", "var/log/", "dev/",
	} {
		if strings.HasPrefix(name, prefix) {
			return path.Base(name) != "copyright"
		}
	}
	return false
}

// fingerprint tells two entries of the same name apart by all but their times.
func fingerprint(h *tar.Header, r io.Reader) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return "", err
	}
	return fmt.Sprintf("%c %o %d:%d %s %x", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Linkname, sum.Sum(nil)), nil
}

// readTar calls visit for each entry of a tar file.
func readTar(file string, visit func(*tar.Header, io.Reader) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read from
	tr := tar.NewReader(bufio.NewReaderSize(f, 1<<20))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		if err := visit(h, tr); err != nil {
			return err
		}
	}
}

// ReadFile returns the content of one file of a tar file.
func ReadFile(file, name string) ([]byte, error) {
	var text []byte
	found := false
	err := readTar(file, func(h *tar.Header, r io.Reader) (err error) {
		if path.Clean(h.Name) == name {
			found = true
			text, err = io.ReadAll(r)
		}
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("%s in %s: %w", name, file, fs.ErrNotExist)
	}
	return text, err
}
