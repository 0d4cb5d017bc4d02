package store

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// A stalledError says that a server kept silent for too long.
type stalledError struct{ after time.Duration }

func (e *stalledError) Error() string {
	return fmt.Sprintf("the server has said nothing for %v", e.after)
}

// A patience ends what is under way with a server once nothing has moved, in either
// direction, for some time.
type patience struct {
	after  time.Duration
	timer  *time.Timer
	cancel context.CancelFunc
	lost   atomic.Bool
}

// newPatience returns a patience and the context that ends with it.
func newPatience(ctx context.Context, after time.Duration) (context.Context, *patience) {
	ctx, cancel := context.WithCancel(ctx)
	p := &patience{after: after, cancel: cancel}
	p.timer = time.AfterFunc(after, func() {
		p.lost.Store(true)
		cancel()
	})
	return ctx, p
}

// end is called when all is said, and ends the context.
func (p *patience) end() {
	p.timer.Stop()
	p.cancel()
}

// why is err, or that the server kept silent where this is the reason.
func (p *patience) why(err error) error {
	if err != nil && p.lost.Load() {
		return &stalledError{after: p.after}
	}
	return err
}

// moved is r, each read of which shows that something moves.
func (p *patience) moved(r io.Reader) io.Reader { return &moved{r, p} }

type moved struct {
	r io.Reader
	p *patience
}

func (m *moved) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	m.p.timer.Reset(m.p.after)
	return n, m.p.why(err)
}
