package registry

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// errStalled says that a blob's content has stopped moving.
var errStalled = errors.New("nothing has moved for too long")

// A stallWatch cancels a transfer whose content has stopped moving: a connection
// can be alive and its other end never read or write again.
type stallWatch struct {
	after  time.Duration
	timer  *time.Timer
	cancel context.CancelFunc
	fired  atomic.Bool
}

// watchStall returns a context for one transfer, and what watches it. The watch
// begins with the first byte and ends with the last, or with stop.
func watchStall(ctx context.Context, after time.Duration) (context.Context, *stallWatch) {
	ctx, cancel := context.WithCancel(ctx)
	w := &stallWatch{after: after, cancel: cancel}
	w.timer = time.AfterFunc(after, func() {
		w.fired.Store(true)
		cancel()
	})
	w.timer.Stop()
	return ctx, w
}

func (w *stallWatch) stop() {
	w.timer.Stop()
	w.cancel()
}

// explain returns errStalled for the error that the watch has brought about.
func (w *stallWatch) explain(err error) error {
	if err != nil && w.fired.Load() {
		return errStalled
	}
	return err
}

// reader returns r, watched.
func (w *stallWatch) reader(r io.ReadCloser) io.ReadCloser {
	return &stallReader{ReadCloser: r, watch: w}
}

type stallReader struct {
	io.ReadCloser
	watch *stallWatch
}

// Read notes that the content moves.
func (s *stallReader) Read(p []byte) (int, error) {
	s.watch.timer.Reset(s.watch.after)
	n, err := s.ReadCloser.Read(p)
	if err != nil {
		s.watch.timer.Stop()
	}
	return n, err
}

// Close ends the watch: what the other end does now takes its own time.
func (s *stallReader) Close() error {
	s.watch.timer.Stop()
	return s.ReadCloser.Close()
}
