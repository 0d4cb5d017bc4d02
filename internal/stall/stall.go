// Package stall notices that a transfer has stopped moving: a connection can be alive and
// its other end never read or write again. [New] returns the context of one transfer and
// its [Watch].
package stall

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

// A Watch ends the context of a transfer in which nothing has moved for some time. Its
// methods may be called by several goroutines.
type Watch struct {
	after   time.Duration
	timer   *time.Timer
	cancel  context.CancelFunc
	stalled atomic.Bool
}

// New returns a context for one transfer and what watches it. The watch begins with the
// first call of Moved; End must be called.
func New(ctx context.Context, after time.Duration) (context.Context, *Watch) {
	ctx, cancel := context.WithCancel(ctx)
	w := &Watch{after: after, cancel: cancel}
	w.timer = time.AfterFunc(after, func() {
		w.stalled.Store(true)
		cancel()
	})
	w.timer.Stop()
	return ctx, w
}

// Moved says that something has moved: the time begins anew.
func (w *Watch) Moved() { w.timer.Reset(w.after) }

// Pause says that nothing need move until Moved is called again.
func (w *Watch) Pause() { w.timer.Stop() }

// End ends the watch and the context.
func (w *Watch) End() {
	w.timer.Stop()
	w.cancel()
}

// Stalled reports whether the watch has ended the context.
func (w *Watch) Stalled() bool { return w.stalled.Load() }

// After is how long nothing may move.
func (w *Watch) After() time.Duration { return w.after }

// Reader returns r, each read of which shows that something moves: its beginning, so that
// whoever reads slowly is not taken for a stall, and its end.
func (w *Watch) Reader(r io.Reader) io.Reader { return &reader{r, w} }

type reader struct {
	r     io.Reader
	watch *Watch
}

func (r *reader) Read(p []byte) (int, error) {
	r.watch.Moved()
	n, err := r.r.Read(p)
	r.watch.Moved()
	return n, err
}
