package registry

import (
	"errors"
	"io"

	"fnb/internal/stall"
)

// errStalled says that a blob's content has stopped moving.
var errStalled = errors.New("nothing has moved for too long")

// explainStall returns errStalled for the error that a watch has brought about.
func explainStall(w *stall.Watch, err error) error {
	if err != nil && w.Stalled() {
		return errStalled
	}
	return err
}

// A watchedBlob is a blob's content, watched from its first byte to its last, or until it
// is closed: what the other end does then takes its own time.
type watchedBlob struct {
	io.Closer
	moving io.Reader
	watch  *stall.Watch
}

func watchBlob(w *stall.Watch, r io.ReadCloser) io.ReadCloser {
	return &watchedBlob{Closer: r, moving: w.Reader(r), watch: w}
}

// Read notes that the content moves.
func (b *watchedBlob) Read(p []byte) (int, error) {
	n, err := b.moving.Read(p)
	if err != nil {
		b.watch.Pause()
	}
	return n, err
}

// Close ends the watch, and closes the content.
func (b *watchedBlob) Close() error {
	b.watch.Pause()
	return b.Closer.Close()
}
