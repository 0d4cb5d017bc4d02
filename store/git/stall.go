package git

import (
	"context"
	"fmt"
	"io"
	"time"

	"fnb/internal/stall"
)

// A StalledError says that a server kept silent for too long.
type StalledError struct{ after time.Duration }

func (e *StalledError) Error() string {
	return fmt.Sprintf("the server has said nothing for %v", e.after)
}

// A stallWatch ends what is under way with a server once nothing has moved, in either
// direction, for some time. It has begun when it is made: a server has to say something.
type stallWatch struct{ *stall.Watch }

// newStallWatch returns a stallWatch and the context that ends with it.
func newStallWatch(ctx context.Context, after time.Duration) (context.Context, stallWatch) {
	ctx, w := stall.New(ctx, after)
	w.Moved()
	return ctx, stallWatch{w}
}

// why is err, or that the server kept silent where this is the reason.
func (w stallWatch) why(err error) error {
	if err != nil && w.Stalled() {
		return &StalledError{after: w.After()}
	}
	return err
}

// moved is r, each read of which shows that something moves.
func (w stallWatch) moved(r io.Reader) io.Reader { return &movingReader{w.Reader(r), w} }

type movingReader struct {
	r io.Reader
	w stallWatch
}

func (m *movingReader) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	return n, m.w.why(err)
}
