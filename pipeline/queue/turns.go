package queue

import (
	"context"
	"slices"
	"sync"
)

// turns have one image bring to a registry what several have in common: the
// others wait until it is there, and then have the registry take it over, where
// all at once would each send it. The zero value is ready for use.
type turns struct {
	mu    sync.Mutex
	taken map[string]*turn
}

// A turn is one thing that an image brings.
type turn struct {
	done    chan struct{} // closed when the delivery has ended
	brought bool          // read after done is closed
}

// take returns when all that images have in common is at the registry, or the
// caller's to bring. What it returns has to be called with how that ended.
func (t *turns) take(ctx context.Context, things []string) (end func(error), err error) {
	mine := map[string]*turn{}
	end = func(err error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		for thing, one := range mine {
			if one.brought = err == nil; err != nil {
				delete(t.taken, thing) // somebody else's turn
			}
			close(one.done)
		}
	}
	for _, thing := range slices.Sorted(slices.Values(things)) { // sorted, nobody waits in a circle
		for {
			one, first := t.claim(thing)
			if first {
				mine[thing] = one
				break
			}
			select {
			case <-one.done:
			case <-ctx.Done():
				end(ctx.Err())
				return nil, ctx.Err()
			}
			if one.brought {
				break
			}
		}
	}
	return end, nil
}

func (t *turns) claim(thing string) (one *turn, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one, ok := t.taken[thing]; ok {
		return one, false
	}
	if t.taken == nil {
		t.taken = map[string]*turn{}
	}
	one = &turn{done: make(chan struct{})}
	t.taken[thing] = one
	return one, true
}
