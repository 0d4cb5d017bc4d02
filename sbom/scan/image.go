package scan

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	maxBytes = 64 << 30 // of all layers, uncompressed
)

// Image finds what is installed in an image of one platform, by its layers.
func Image(ctx context.Context, img v1.Image) (found Found, err error) {
	layers, err := img.Layers()
	if err != nil {
		return Found{}, fmt.Errorf("reading the image's layers: %w", err)
	}
	s := &stack{finder: &finder{}, seed: maphash.MakeSeed(), hidden: map[uint64]bool{}, left: maxBytes}
	defer func() { err = errors.Join(err, s.close()) }()
	for i := len(layers) - 1; i >= 0; i-- {
		if err := s.layer(ctx, layers[i]); err != nil {
			return Found{}, fmt.Errorf("layer %d: %w", i+1, err)
		}
	}
	return s.finder.result()
}

// A stack reads layers, the uppermost first: what a layer has hides what is below it.
type stack struct {
	*finder
	seed   maphash.Seed
	hidden map[uint64]bool // paths that layers above have, or have removed
	own    []uint64        // those of the layer at hand
	left   int64           // bytes that may still be read
	spool  *os.File        // for what is read here and there
}

func (s *stack) layer(ctx context.Context, l v1.Layer) (err error) {
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	s.own = s.own[:0]
	tr := tar.NewReader(&counted{r, &s.left})
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := s.entry(h, tr); err != nil {
			return err
		}
	}
	for _, sum := range s.own {
		s.hidden[sum] = true
	}
	return nil
}

// A counted reader ends with an error where there is too much.
type counted struct {
	io.Reader
	left *int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if *c.left -= int64(n); *c.left < 0 {
		return n, &TooLargeError{fmt.Sprintf("more than %d GB in its layers", maxBytes>>30)}
	}
	return n, err
}

func (s *stack) sum(kind byte, name string) uint64 {
	return maphash.String(s.seed, string(kind)+name)
}

// What a layer does to what is below it.
const (
	isThere  = 'f' // a file takes the place
	isHollow = 'd' // nothing below a folder is left
)

// entry reads an entry of a layer.
func (s *stack) entry(h *tar.Header, r io.Reader) error {
	if err := s.seen(); err != nil {
		return err
	}
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	if gone, ok := strings.CutPrefix(base, whiteout); ok {
		if base == opaque {
			s.own = append(s.own, s.sum(isHollow, dir))
		} else {
			s.own = append(s.own, s.sum(isThere, path.Join(dir, gone)))
		}
		return nil
	}
	if h.Typeflag == tar.TypeDir {
		return nil
	}
	s.own = append(s.own, s.sum(isThere, name))
	if h.Typeflag != tar.TypeReg || s.isHidden(name) {
		return nil
	}
	k := kindOf(name, h.Size, fs.FileMode(h.Mode&0o777)) //nolint:gosec // masked
	if k == nil {
		return nil
	}
	c, err := s.content(name, h.Size, r)
	if err != nil || c == nil {
		return err
	}
	s.read(k, c)
	return nil
}

// isHidden reports whether a layer above has the path, or has removed it or a folder above it.
func (s *stack) isHidden(name string) bool {
	for at := name; ; at = at[:max(0, strings.LastIndexByte(at, '/'))] {
		if s.hidden[s.sum(isThere, at)] || at != name && s.hidden[s.sum(isHollow, at)] {
			return true
		}
		if at == "" {
			return false
		}
	}
}

const inMemory = 16 << 20 // bytes of a file that is kept in memory

// content keeps a file so that it can be read anywhere; nil is one that is not worth it.
func (s *stack) content(name string, size int64, r io.Reader) (*content, error) {
	if size > maxProgram {
		s.unread(name, fmt.Errorf("has %d bytes, more than the %d that are read", size, maxProgram))
		return nil, nil //nolint:nilnil // the error is noted, and is none of the scan
	}
	head := make([]byte, min(size, 4))
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	if size > maxText && string(head) != "\x7fELF" && !bytes.HasPrefix(head, []byte("PK")) {
		s.unread(name, fmt.Errorf("has %d bytes, more than the %d that are read", size, maxText))
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
	if s.spool == nil {
		f, err := os.CreateTemp("", "fnb-scan-")
		if err != nil {
			return nil, err
		}
		s.spool = f
	}
	if err := s.spool.Truncate(0); err != nil {
		return nil, err
	}
	if _, err := s.spool.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if _, err := io.Copy(s.spool, all); err != nil {
		return nil, err
	}
	return &content{name: name, size: size, at: s.spool}, nil
}

func (s *stack) close() error {
	if s.spool == nil {
		return nil
	}
	return errors.Join(s.spool.Close(), os.Remove(s.spool.Name()))
}
