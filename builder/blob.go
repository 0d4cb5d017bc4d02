package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
)

// Blob reads a blob that the builder has, such as a layer or the configuration of an image that it has just
// made. What is read is compared with the digest at its end. A builder keeps blobs as long as it likes, and
// one of a Docker Engine lends none: an error says only that another place has to be asked.
func (c *Client) Blob(ctx context.Context, digest string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.c.ContentClient().Read(ctx, &contentapi.ReadContentRequest{Digest: digest})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("asking the builder for %s: %w", digest, WithoutGRPC(err))
	}
	b := &blob{stream: stream, cancel: cancel, sum: sha256.New(), digest: digest}
	if b.err = b.next(); b.err != nil && !errors.Is(b.err, io.EOF) {
		cancel()
		return nil, b.err
	}
	return b, nil
}

// A blob is one that a builder sends.
type blob struct {
	stream contentapi.Content_ReadClient
	cancel context.CancelFunc
	sum    hash.Hash
	digest string
	part   []byte // that has come, and was not read
	err    error  // what comes after it
}

// next waits for the next part.
func (b *blob) next() error {
	got, err := b.stream.Recv()
	if errors.Is(err, io.EOF) {
		if made := "sha256:" + hex.EncodeToString(b.sum.Sum(nil)); made != b.digest {
			return fmt.Errorf("asking the builder for %s: it has sent %s", b.digest, made)
		}
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("asking the builder for %s: %w", b.digest, WithoutGRPC(err))
	}
	b.part = got.GetData()
	b.sum.Write(b.part)
	return nil
}

// Read implements [io.Reader].
func (b *blob) Read(p []byte) (int, error) {
	for len(b.part) == 0 {
		if b.err == nil {
			b.err = b.next()
		}
		if b.err != nil {
			return 0, b.err
		}
	}
	n := copy(p, b.part)
	b.part = b.part[n:]
	return n, nil
}

// Close implements [io.Closer].
func (b *blob) Close() error {
	b.cancel()
	return nil
}
