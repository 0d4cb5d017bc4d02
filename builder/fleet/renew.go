package fleet

import (
	"context"
	"slices"
	"sync"
	"time"

	"fnb/builder"
)

// renewing is a fleet's looking for builders that selectors find later than at its beginning. All of it
// but life is held by the fleet's lock.
type renewing struct {
	life  context.Context // ends with the fleet
	under chan struct{}   // closed when the look that is under way has ended; nil: none is
	again bool            // a builder was lost meanwhile
}

// wait waits for the look that is under way.
func (r *renewing) wait(mu *sync.Mutex) {
	for {
		mu.Lock()
		under := r.under
		r.again = false
		mu.Unlock()
		if under == nil {
			return
		}
		<-under
	}
}

// lookAgain begins to ask the selectors again, where there are some. The caller holds the lock.
func (f *Fleet) lookAgain() {
	r := &f.renewing
	if r.under != nil || r.life == nil || r.life.Err() != nil || !slices.ContainsFunc(f.opts.Builders, isSelector) {
		r.again = true
		return
	}
	done := make(chan struct{})
	r.under, r.again = done, false
	go func() {
		f.renew(r.life)
		f.mu.Lock()
		defer f.mu.Unlock()
		r.under = nil
		close(done)
		if r.again {
			f.lookAgain()
		}
	}()
}

// renew asks the selectors once, and adds the builders that are used no more or never were. One that was
// lost may be back under its name, as that of a stateful set is.
func (f *Fleet) renew(ctx context.Context) {
	var selectors []builder.Options
	for _, o := range f.opts.Builders {
		if isSelector(o) {
			o.Patience, o.Silence = f.opts.Patience, f.opts.Silence
			selectors = append(selectors, o)
		}
	}
	found, _ := builder.Expand(ctx, selectors) // who is not found now may be the next time
	var wg sync.WaitGroup
	for _, o := range found {
		if isSelector(o) || f.uses(o.Address) {
			continue
		}
		wg.Go(func() {
			client, err := builder.Dial(ctx, o)
			if err != nil {
				return // it was there for the cluster only
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			f.members = append(f.members, &member{client: client, gone: make(chan struct{}), seen: time.Now()})
		})
	}
	wg.Wait()
}

func (f *Fleet) uses(address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.members, func(n *member) bool { return n.why == nil && n.client.Address() == address })
}

// renewEvery is how often selectors are asked by a fleet that has no builder left.
const renewEvery = time.Second

// usable are the builders that can be used. A fleet that had some and has none now waits for those that its
// selectors find, if it has any.
func (f *Fleet) usable(ctx context.Context) ([]*member, error) {
	for end := time.Now().Add(f.opts.Renewal); ; {
		members, err := f.healthy()
		if err == nil || !slices.ContainsFunc(f.opts.Builders, isSelector) || time.Now().After(end) {
			return members, err
		}
		f.mu.Lock()
		had := len(f.members) > 0
		f.lookAgain()
		under := f.renewing.under
		f.mu.Unlock()
		if !had {
			return nil, err
		}
		if under != nil {
			select {
			case <-under:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if members, err := f.healthy(); err == nil {
			return members, nil
		}
		select {
		case <-time.After(renewEvery):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
