package rebase

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/plain"
	"fnb/schema"
)

// Bounds of what is looked at in the layers above a base image.
const (
	maxLinked  = 256 << 20 // bytes of a program or a library
	maxAbove   = 16 << 30  // bytes of a layer, uncompressed
	maxEntries = 4 << 20   // files of a layer
)

// missing are the names that are in one list and not in another; both are sorted.
func missing(old, now []string) (gone []string) {
	for _, name := range old {
		if _, ok := slices.BinarySearch(now, name); !ok {
			gone = append(gone, name)
		}
	}
	return gone
}

// linked is an error if a file above the base image is linked with a shared library that the new base image has not any
// more. The layers above are only fetched if there is such a library.
func (c *change) linked(ctx context.Context, digest string, gone []string, below int) error {
	if len(gone) == 0 {
		return nil
	}
	repository, _, _ := strings.Cut(c.whole.Pinned, "@")
	of, err := c.planner.Registry.Open(ctx, repository+"@"+digest, schema.Platform{})
	if err != nil {
		return err
	}
	all, err := of.Image.Layers()
	if err != nil {
		return err
	}
	l := links{needs: map[string]string{}, has: map[string]bool{}}
	for _, layer := range all[min(below, len(all)):] {
		if err := l.read(ctx, layer); err != nil {
			return fmt.Errorf("looking for what its files are linked with: %w", err)
		}
	}
	for _, name := range gone {
		if by, ok := l.needs[name]; ok && !l.has[name] {
			return fmt.Errorf("%s is linked with %s, which the new base image has not", plain.Path(by), plain.Line(name))
		}
	}
	return nil
}

// links are what the files of layers are linked with.
type links struct {
	needs map[string]string // a file that needs it, by the library's name
	has   map[string]bool   // names of files
}

func (l *links) read(ctx context.Context, layer v1.Layer) (err error) {
	r, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	most := &io.LimitedReader{R: r, N: maxAbove}
	tr := tar.NewReader(most)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if n > maxEntries {
			return fmt.Errorf("a layer has more than %d files", maxEntries)
		}
		if err := l.entry(h, tr); err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, most) // to its end, where it is compared with its digest
	if err == nil && most.N == 0 {
		err = fmt.Errorf("a layer has more than %d GB", maxAbove>>30)
	}
	return err
}

func (l *links) entry(h *tar.Header, r io.Reader) error {
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	if h.Typeflag != tar.TypeReg {
		if h.Typeflag != tar.TypeDir {
			l.has[path.Base(name)] = true
		}
		return nil
	}
	l.has[path.Base(name)] = true
	head := make([]byte, min(h.Size, int64(len(elf.ELFMAG))))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != elf.ELFMAG {
		return err
	}
	if h.Size > maxLinked {
		return fmt.Errorf("%s has %s, more than the %s that are read", plain.Path(name), plain.Size(h.Size), plain.Size(maxLinked))
	}
	data := make([]byte, h.Size)
	copy(data, head)
	if _, err := io.ReadFull(r, data[len(head):]); err != nil {
		return err
	}
	all, err := needed(data)
	if err != nil {
		return fmt.Errorf("%s: %w", plain.Path(name), err)
	}
	for _, n := range all {
		if _, ok := l.needs[n]; !ok {
			l.needs[n] = name
		}
	}
	return nil
}

// needed are the libraries that a program or a library of ELF's names, DT_NEEDED in its dynamic section.
func needed(data []byte) (names []string, err error) {
	defer func() { // debug/elf is not made for files that are meant to harm
		if r := recover(); r != nil {
			err = fmt.Errorf("it cannot be understood: %v", r)
		}
	}()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, nil //nolint:nilerr // no system runs it
	}
	return f.ImportedLibraries()
}
