package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Files are those of an image that is somewhere else.
type Files interface {
	// ReadDir returns what is in a folder; that of all has the name ".".
	ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error)
	// ReadAt reads some bytes of a file. It returns fewer only at its end.
	ReadAt(ctx context.Context, name string, offset int64, size int) ([]byte, error)
}

const (
	atOnce   = 8   // questions that are under way at the same time
	maxDepth = 200 // folders in folders
)

// Tree finds what is installed in an image that is somewhere else, with as few questions as
// it can.
func Tree(ctx context.Context, files Files) (Found, error) {
	w := &walk{files: files, all: &finder{}}
	w.group, ctx = errgroup.WithContext(ctx)
	w.slots = make(chan struct{}, atOnce)
	w.group.Go(func() error { return w.folder(ctx, ".", 0) })
	if err := w.group.Wait(); err != nil {
		return Found{}, err
	}
	return w.all.result()
}

// A walk goes through the folders of an image.
type walk struct {
	files Files
	group *errgroup.Group
	slots chan struct{}
	mu    sync.Mutex // guards all
	all   *finder
}

// ask does what asks for something, when it is its turn.
func (w *walk) ask(ctx context.Context, do func() error) error {
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.slots }()
	return do()
}

func (w *walk) folder(ctx context.Context, dir string, depth int) error {
	if depth > maxDepth {
		return &TooLargeError{fmt.Sprintf("folders that are nested more than %d deep", maxDepth)}
	}
	var entries []fs.FileInfo
	err := w.ask(ctx, func() (err error) {
		entries, err = w.files.ReadDir(ctx, dir)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the folder %s of the image: %w", dir, err)
	}
	for _, e := range entries {
		w.mu.Lock()
		err := w.all.seen()
		w.mu.Unlock()
		if err != nil {
			return err
		}
		name := path.Join(dir, e.Name())
		if path.Base(name) != e.Name() { // what answers is not trusted either
			continue
		}
		if e.IsDir() {
			if within(name) {
				w.group.Go(func() error { return w.folder(ctx, name, depth+1) })
			}
			continue
		}
		if k := kindOf(name, e.Size(), e.Mode()); k != nil {
			w.group.Go(func() error { return w.file(ctx, k, name, e.Size()) })
		}
	}
	return nil
}

func (w *walk) file(ctx context.Context, k kind, name string, size int64) error {
	f := &finder{}
	r := &remote{ctx: ctx, files: w.files, name: name, size: size, blocks: map[int64][]byte{}}
	_ = w.ask(ctx, func() error { // what cannot be read is noted
		f.read(k, &content{name: name, size: size, at: r})
		return nil
	})
	if err := errors.Join(ctx.Err(), r.err); err != nil {
		return fmt.Errorf("reading %s of the image: %w", name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.merge(f)
	return nil
}

// merge takes over what another finder has found.
func (f *finder) merge(g *finder) {
	for _, d := range g.python {
		d.at += len(f.found.Packages)
		f.python = append(f.python, d)
	}
	f.found.Packages = append(f.found.Packages, g.found.Packages...)
	f.found.Unread = append(f.found.Unread, g.found.Unread...)
	if s := g.found.System; s.ID != "" && (f.found.System.ID == "" || g.etc) {
		f.found.System = s
	}
	f.etc = f.etc || g.etc
}

// A remote is a file that is read block by block.
type remote struct {
	ctx    context.Context //nolint:containedctx // of the scan; a ReaderAt is given none
	files  Files
	name   string
	size   int64
	blocks map[int64][]byte
	recent []int64 // blocks that are kept
	err    error   // of whoever has the file
}

const (
	block      = 64 << 10
	most       = 4 << 20 // bytes of one answer
	keptBlocks = 32
)

// ReadAt implements [io.ReaderAt].
func (r *remote) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= r.size {
		return 0, io.EOF
	}
	want := int(min(int64(len(p)), r.size-off))
	if want > block { // all of a text
		data, err := r.ask(off, want)
		return r.end(copy(p, data), len(p), err)
	}
	n := 0
	for n < want {
		at := (off + int64(n)) / block
		data, err := r.block(at)
		if err != nil {
			return n, err
		}
		from := int(off + int64(n) - at*block)
		if from >= len(data) {
			return n, io.ErrUnexpectedEOF
		}
		n += copy(p[n:want], data[from:])
	}
	return r.end(n, len(p), nil)
}

func (r *remote) end(n, want int, err error) (int, error) {
	if err == nil && n < want {
		err = io.EOF
	}
	return n, err
}

func (r *remote) block(at int64) ([]byte, error) {
	if data, ok := r.blocks[at]; ok {
		return data, nil
	}
	data, err := r.ask(at*block, int(min(block, r.size-at*block)))
	if err != nil {
		return nil, err
	}
	if len(r.recent) >= keptBlocks {
		delete(r.blocks, r.recent[0])
		r.recent = slices.Delete(r.recent, 0, 1)
	}
	r.blocks[at], r.recent = data, append(r.recent, at)
	return data, nil
}

func (r *remote) ask(off int64, size int) ([]byte, error) {
	data := make([]byte, 0, size)
	for len(data) < size {
		part, err := r.files.ReadAt(r.ctx, r.name, off+int64(len(data)), min(size-len(data), most))
		if err != nil && r.err == nil {
			r.err = err
		}
		if err != nil || len(part) == 0 {
			return data, err
		}
		data = append(data, part...)
	}
	return data, nil
}
