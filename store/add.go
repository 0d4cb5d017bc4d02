package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"fnb/store/git"
	"fnb/store/records"
)

const (
	pushTries    = 40 // at least, and
	pushPatience = time.Minute
	// stuckTries is how often the same commit is refused before it is clear that
	// nobody else was faster.
	stuckTries = 8
)

// An Addition is files to add to a store.
type Addition struct {
	Message string
	Branch  string // a new one, refs/heads/…; "" for the store's own
	Dry     bool   // nothing is added
	Change  bool   // a package.json that is there is replaced
	// files returns what to add to the files that there are, nothing where all is
	// there.
	Files func(records.Tree) (map[string][]byte, error)
}

// An Added says what became of an addition.
type Added struct {
	Commit string // of the store; "" where nothing was added, or the store is a folder
	Base   string // the branch that the store has as its own
	Tries  int
	Wrote  bool
}

// Add adds files to a store. Where somebody else was faster it begins anew.
func (s *Finder) Add(ctx context.Context, c Store, a Addition) (Added, error) {
	if s.opts.Offline && !c.isHere() {
		return Added{}, &OfflineError{What: "store " + c.Name}
	}
	begin, refused, last := time.Now(), 0, ""
	for try := 1; ; try++ {
		done, tipCommit, err := c.kind.addOnce(ctx, s, c, a)
		done.Tries = try
		if err == nil {
			return done, s.expire(ctx, c)
		}
		_, unreachable := errors.AsType[*git.UnreachableError](err)
		if ctx.Err() != nil || !errors.Is(err, git.ErrRejected) && !unreachable {
			return done, err
		}
		if tipCommit == last {
			refused++
		} else {
			refused, last = 0, tipCommit
		}
		if unreachable && refused >= 2 {
			return done, err
		}
		if refused >= stuckTries || try >= pushTries && time.Since(begin) > pushPatience {
			return done, fmt.Errorf("store %s: tried %d times: %w", c.Name, try, err)
		}
		// Full jitter, so that those who met do not meet again.
		wait := time.Duration(rand.Int64N(int64(min(2*time.Second, 20*time.Millisecond<<min(try, 7)))))
		select {
		case <-ctx.Done():
			return done, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// expire makes the cache ask the store the next time.
func (s *Finder) expire(ctx context.Context, c Store) error {
	unlock, err := s.cache.Lock(ctx, "store "+c.URL)
	if err != nil {
		return err
	}
	defer unlock()
	x, ok := s.cache.OpenIndex(c.URL)
	if !ok {
		return nil
	}
	if due := time.Now().Add(-s.opts.TTL); x.State.Checked.After(due) {
		x.State.Checked = due
	}
	return s.cache.SaveState(x.State)
}
