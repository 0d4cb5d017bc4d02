package pipeline

import (
	"context"
	"slices"
	"sync"

	"fnb/schema/words"
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

// deliveries is how many images are under way to a registry for each function that is
// solved: most of that is waiting, and a builder sends a registry four blobs at a time.
const deliveries = 4

// A queue says whose turn it is.
type queue struct {
	solving chan struct{} // holds one for each function that is being solved
	leaving chan struct{} // holds one for each image that is being delivered
	bring   turns
}

// newQueue lets so many functions be solved at a time; less than 1 is 1.
func newQueue(parallel int) queue {
	n := max(parallel, 1)
	return queue{solving: make(chan struct{}, n), leaving: make(chan struct{}, deliveries*n)}
}

// turn has the next function solved while the image of this one is delivered, once
// it is its turn.
func (p *Pipeline) turn(pl *Plan, there lookup, solved func()) func(context.Context) (func(error), error) {
	return func(ctx context.Context) (func(error), error) {
		left, err := enter(ctx, p.queue.leaving)
		if err != nil {
			return nil, err
		}
		solved()
		brought, err := p.queue.bring.take(ctx, p.shared(pl, there.earlier))
		if err != nil {
			left()
			return nil, err
		}
		return func(err error) {
			brought(err)
			left()
		}, nil
	}
}

// shared names what the image of a function has in common with others. Where the image
// that is there is of the same template and the same base, most of that is there already.
func (p *Pipeline) shared(pl *Plan, earlier map[string]string) []string {
	same := func(label, value string) bool { return earlier[label] == value }
	if !p.pushes() || !pl.own && earlier != nil && same(words.LabelTemplateChecksum, pl.req.Config.Labels[words.LabelTemplateChecksum]) && same(words.LabelBaseDigest, pl.req.Bases[pl.req.Base]) {
		return nil
	}
	host := pl.Job.Refs[0].Says.Registry
	things := []string{host + " steps " + pl.steps}
	if pl.req.Base != "" {
		things = append(things, host+" base "+pl.req.Base)
	}
	if w := pl.req.Watchdog; w.Layout != nil || w.Reference != "" {
		things = append(things, host+" watchdog "+w.Reference)
	}
	return things
}

// enter waits for a place among as many as a channel holds. What it returns
// leaves it, and may be called more than once.
func enter(ctx context.Context, places chan struct{}) (leave func(), err error) {
	select {
	case places <- struct{}{}:
		return sync.OnceFunc(func() { <-places }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
