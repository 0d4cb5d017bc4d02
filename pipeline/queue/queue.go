// Package queue says whose turn it is: [Queue.Solve] lets some functions be solved at a time, and [Queue.Deliver] some
// images be under way to where they go, while the next ones are solved.
package queue

import (
	"context"
	"sync"
)

// deliveries is how many images are under way to a registry for each function that is
// solved: most of that is waiting, and a builder sends a registry four blobs at a time.
const deliveries = 4

// A Queue is that of one run. It is made by [New], and safe for concurrent use.
type Queue struct {
	solving chan struct{} // holds one for each function that is being solved
	leaving chan struct{} // holds one for each image that is being delivered
	bring   turns
}

// New lets so many functions be solved at a time; less than 1 is 1.
func New(parallel int) *Queue {
	n := max(parallel, 1)
	return &Queue{solving: make(chan struct{}, n), leaving: make(chan struct{}, deliveries*n)}
}

// Solve returns when it is a function's turn to be solved. What it returns ends that turn, and may be called more than once.
func (q *Queue) Solve(ctx context.Context) (solved func(), err error) { return enter(ctx, q.solving) }

// Deliver returns when it is an image's turn to be delivered. solved is called before, so that the next function is solved
// meanwhile. Things are what the image has in common with others: one brings it, and they wait until it is there. What
// Deliver returns is called with how the delivery has ended.
func (q *Queue) Deliver(ctx context.Context, solved func(), things []string) (end func(error), err error) {
	left, err := enter(ctx, q.leaving)
	if err != nil {
		return nil, err
	}
	solved()
	brought, err := q.bring.take(ctx, things)
	if err != nil {
		left()
		return nil, err
	}
	return func(err error) {
		brought(err)
		left()
	}, nil
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
