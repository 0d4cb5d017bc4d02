package builder

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	contentlocal "github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// openStore opens the blobs of an OCI image layout for one solve. Unfinished
// blobs are in a folder of the solve's own, so that solves which write the same
// blob at the same time do not meet, and which release removes.
func openStore(dir string) (store content.Store, release func(), err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range []string{"blobs", "ingest"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, nil, err
		}
	}
	own, err := os.MkdirTemp(filepath.Join(dir, "ingest"), "solve-")
	if err != nil {
		return nil, nil, err
	}
	if err := os.Symlink(filepath.Join(dir, "blobs"), filepath.Join(own, "blobs")); err != nil {
		removeAll(own)
		return nil, nil, err
	}
	local, err := contentlocal.NewStore(own)
	if err != nil {
		removeAll(own)
		return nil, nil, err
	}
	gate := &gatedStore{Store: local}
	return gate, func() {
		gate.close()
		removeAll(own)
	}, nil
}

// removeAll removes a folder in which a blob that was broken off may still be
// closed at this moment. What stays all the same is pruned with the image store.
func removeAll(dir string) {
	for range 100 {
		if os.RemoveAll(dir) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A gatedStore takes no new blob once it is closed: the session of a solve that
// was broken off may ask for one after the solve has returned.
type gatedStore struct {
	content.Store
	mu     sync.RWMutex
	closed bool
}

func (g *gatedStore) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// Writer implements [content.Ingester].
func (g *gatedStore) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return nil, fmt.Errorf("the solve has ended: %w", errdefs.ErrUnavailable)
	}
	return g.Store.Writer(ctx, opts...)
}

// A layoutStore serves the blobs of an OCI image layout, to be read only. The
// methods that write return errdefs.ErrNotImplemented.
type layoutStore struct{ fsys fs.FS }

func blobPath(d digest.Digest) string { return path.Join("blobs", d.Algorithm().String(), d.Encoded()) }

// Info implements [content.InfoProvider].
func (s *layoutStore) Info(_ context.Context, d digest.Digest) (content.Info, error) {
	fi, err := s.stat(d)
	if err != nil {
		return content.Info{}, err
	}
	return content.Info{Digest: d, Size: fi.Size()}, nil
}

func (s *layoutStore) stat(d digest.Digest) (fs.FileInfo, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	fi, err := fs.Stat(s.fsys, blobPath(d))
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", d, errdefs.ErrNotFound)
	}
	return fi, nil
}

// ReaderAt implements [content.Provider].
func (s *layoutStore) ReaderAt(_ context.Context, desc ocispecs.Descriptor) (content.ReaderAt, error) {
	fi, err := s.stat(desc.Digest)
	if err != nil {
		return nil, err
	}
	f, err := s.fsys.Open(blobPath(desc.Digest))
	if err != nil {
		return nil, err
	}
	ra, ok := f.(io.ReaderAt)
	if !ok {
		_ = f.Close() // it was only opened
		return nil, fmt.Errorf("blob %s cannot be read at an offset", desc.Digest)
	}
	return &blob{ReaderAt: ra, Closer: f, size: fi.Size()}, nil
}

// Walk implements [content.Manager]: a layout says nothing of its blobs.
func (s *layoutStore) Walk(context.Context, content.WalkFunc, ...string) error { return nil }

// Update implements [content.Manager].
func (s *layoutStore) Update(ctx context.Context, info content.Info, _ ...string) (content.Info, error) {
	return s.Info(ctx, info.Digest)
}

// Delete implements [content.Manager].
func (s *layoutStore) Delete(context.Context, digest.Digest) error { return errdefs.ErrNotImplemented }

// Writer implements [content.Ingester].
func (s *layoutStore) Writer(context.Context, ...content.WriterOpt) (content.Writer, error) {
	return nil, errdefs.ErrNotImplemented
}

// Abort implements [content.IngestManager].
func (s *layoutStore) Abort(context.Context, string) error { return errdefs.ErrNotImplemented }

// Status implements [content.IngestManager].
func (s *layoutStore) Status(context.Context, string) (content.Status, error) {
	return content.Status{}, errdefs.ErrNotImplemented
}

// ListStatuses implements [content.IngestManager].
func (s *layoutStore) ListStatuses(context.Context, ...string) ([]content.Status, error) {
	return nil, nil
}

type blob struct {
	io.ReaderAt
	io.Closer
	size int64
}

// Size implements [content.ReaderAt].
func (b *blob) Size() int64 { return b.size }

// AddIndex puts an image index into an image store, beside the manifests that it names.
func AddIndex(ctx context.Context, dir string, raw []byte) error {
	store, release, err := openStore(dir)
	if err != nil {
		return fmt.Errorf("opening the image store: %w", err)
	}
	defer release()
	desc := ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageIndex, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	if err := content.WriteBlob(ctx, store, "index", bytes.NewReader(raw), desc); err != nil {
		return fmt.Errorf("writing the image's index: %w", err)
	}
	return nil
}
