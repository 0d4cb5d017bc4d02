package queue

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// Whoever comes first brings what all want; when that fails, it is the next one's
// turn, and nobody who gives up holds the others.
func TestTurns(t *testing.T) {
	t.Parallel()
	var all turns
	first, err := all.take(t.Context(), []string{"x", "y"})
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all.take(impatient, []string{"w", "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait gets %v", err)
	}
	var bringing, brought atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			end, err := all.take(t.Context(), []string{"z", "y", "x", "w"})
			if err != nil {
				t.Error(err)
				return
			}
			if brought.Load() == 0 && bringing.Add(1) > 1 {
				t.Error("two bring the same")
			}
			brought.Add(1)
			end(nil)
		})
	}
	first(errors.New("the registry was away"))
	wg.Wait()
	if brought.Load() != 20 {
		t.Errorf("%d had a turn", brought.Load())
	}
}

// While images are delivered, functions are solved; each as many as there are places.
func TestQueue(t *testing.T) {
	t.Parallel()
	q := New(0)
	solved, err := q.Solve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Solve(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("two are solved at a time: %v", err)
	}
	delivered, err := q.Deliver(t.Context(), solved, []string{"base"})
	if err != nil {
		t.Fatal(err)
	}
	if next, err := q.Solve(t.Context()); err != nil {
		t.Error(err)
	} else {
		next()
		next()
	}
	if _, err := q.Deliver(impatient, func() {}, []string{"base"}); !errors.Is(err, context.Canceled) {
		t.Errorf("two bring the same: %v", err)
	}
	delivered(nil)
	for range deliveries { // what was given up has left its place
		if _, err := q.Deliver(t.Context(), func() {}, []string{"base"}); err != nil {
			t.Error(err)
		}
	}
	if _, err := q.Deliver(impatient, func() {}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("more are delivered than there are places: %v", err)
	}
}
