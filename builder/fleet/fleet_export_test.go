package fleet

import (
	"context"
	"time"

	"fnb/builder"
)

// What the tests of a package of their own look at from the inside.

// Score is what decides which builder of a fleet a function goes to.
func Score(address, key string) uint64 { return score(address, key) }

// Forget makes the fleet look at its builders again.
func (f *Fleet) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.members {
		n.seen = time.Time{}
	}
}

// Together has one builder make all platforms.
func (f *Fleet) Together(ctx context.Context, key string, req builder.Request) (*builder.Result, error) {
	return (&dispatch{fleet: f, key: key}).together(ctx, req)
}
