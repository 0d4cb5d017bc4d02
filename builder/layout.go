package builder

import (
	"bytes"
	"context"
	"fmt"
	"os"
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
