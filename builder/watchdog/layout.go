package watchdog

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

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
