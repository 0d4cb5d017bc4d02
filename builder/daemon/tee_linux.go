package daemon

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/util/bklog"
	"github.com/moby/buildkit/util/compression"
	digest "github.com/opencontainers/go-digest"
)

// A teeCompression compresses a layer as it is and, at the same time on another
// processor, what it becomes with its times rewritten to an epoch. Where the
// second fails the layer is rewritten afterwards.
type teeCompression struct {
	compression.Type
	worker *rewritingWorker
	epoch  time.Time

	mu   sync.Mutex
	tees []*tee
}

// Compress implements [compression.Type].
func (c *teeCompression) Compress(ctx context.Context, comp compression.Config) (compression.Compressor, compression.Finalizer) {
	plain, _ := c.Type.Compress(ctx, comp) // gzip has nothing to finalize
	t := &tee{worker: c.worker, epoch: c.epoch, from: digest.Canonical.Digester()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tees = append(c.tees, t)
	return func(dest io.Writer, mediaType string) (io.WriteCloser, error) {
		first, err := plain(io.MultiWriter(dest, t.from.Hash()), mediaType)
		if err != nil {
			return nil, err
		}
		if err := t.start(ctx, first); err != nil {
			bklog.G(ctx).WithError(err).Warn("rewriting a layer's times while it is made")
			return first, nil
		}
		return t, nil
	}, t.finalize
}

// close drops what was begun and not asked for: BuildKit may try one way of
// making a layer and then another.
func (c *teeCompression) close(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.tees {
		t.drop(ctx)
	}
}

// teeAhead is how many bytes of a layer may be compressed before they are
// rewritten; twice as many are in memory.
const teeAhead = 256 << 10

// A tee is one layer on its way into two blobs. It is the writer of the first.
type tee struct {
	worker *rewritingWorker
	epoch  time.Time
	from   digest.Digester // of the first blob
	first  io.WriteCloser

	name   string         // of the unfinished second blob
	second content.Writer // nil once it is committed or dropped
	pipe   *io.PipeWriter
	ahead  *bufio.Writer // into pipe
	diffID digest.Digester
	done   chan struct{} // closed when the second blob is written
	err    error         // why it is not
}

func (t *tee) start(ctx context.Context, first io.WriteCloser) error {
	t.name = "fnb-rewrite-" + identity.NewID()
	second, err := t.worker.ContentStore().Writer(ctx, content.WithRef(t.name))
	if err != nil {
		return err
	}
	t.first, t.second, t.diffID, t.done = first, second, digest.Canonical.Digester(), make(chan struct{})
	r, w := io.Pipe()
	t.pipe, t.ahead = w, bufio.NewWriterSize(w, teeAhead)
	go func() {
		defer close(t.done)
		t.err = t.rewrite(r)
		_ = r.CloseWithError(t.err) // what is still written goes nowhere
	}()
	return nil
}

// rewrite writes the second blob as BuildKit's converter would.
func (t *tee) rewrite(r io.Reader) error {
	// A reading of a pipe wakes who writes into it: for each file three times,
	// unless there is a buffer before it.
	r = bufio.NewReaderSize(r, teeAhead)
	buf := bufio.NewWriterSize(t.second, 128<<10)
	z := gzip.NewWriter(buf)
	to, from := tar.NewWriter(io.MultiWriter(z, t.diffID.Hash())), tar.NewReader(r)
	chunk := make([]byte, 32<<10)
	for {
		h, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, at := range []*time.Time{&h.ModTime, &h.AccessTime, &h.ChangeTime} {
			if at.After(t.epoch) {
				*at = t.epoch
			}
		}
		if err := to.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.CopyBuffer(to, from, chunk); err != nil {
			return err
		}
	}
	if err := errors.Join(to.Close(), z.Close(), buf.Flush()); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// Write implements [io.Writer].
func (t *tee) Write(p []byte) (int, error) {
	_, _ = t.ahead.Write(p) // t.err says why not
	return t.first.Write(p)
}

// Close implements [io.Closer]. It may be called more than once.
func (t *tee) Close() error {
	_ = t.ahead.Flush() // as above
	_ = t.pipe.Close()  // never fails
	return t.first.Close()
}

// finalize keeps the second blob, and notes at the first what it became.
func (t *tee) finalize(ctx context.Context, _ content.Store) (map[string]string, error) {
	if t.second == nil {
		return nil, nil
	}
	<-t.done
	if t.err == nil {
		t.err = t.commit(ctx)
	}
	if t.err != nil {
		bklog.G(ctx).WithError(t.err).Warn("rewriting a layer's times while it is made")
		t.drop(ctx)
	}
	t.second = nil
	return nil, nil
}

func (t *tee) commit(ctx context.Context) error {
	err := t.second.Commit(ctx, 0, "", content.WithLabels(map[string]string{
		labels.LabelUncompressed: t.diffID.Digest().String(),
		rewrittenAnnotation:      strconv.FormatInt(t.epoch.Unix(), 10),
	}))
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return err
	}
	return t.worker.note(ctx, t.from.Digest(), t.second.Digest(), t.diffID.Digest().String(), t.epoch)
}

// drop removes a second blob that was not finished.
func (t *tee) drop(ctx context.Context) {
	if t.second == nil {
		return
	}
	_ = t.pipe.Close() // never fails
	<-t.done
	_ = t.second.Close()                           // it is aborted
	_ = t.worker.ContentStore().Abort(ctx, t.name) // what stays is collected with its lease
	t.second = nil
}
