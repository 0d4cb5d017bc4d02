package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fnb/internal/plain"
	"fnb/store/cache"
	"fnb/store/git"
	"fnb/store/records"
)

// storeTTL is how long what the cache has of a store is good without asking.
const storeTTL = 5 * time.Minute

// index returns what a store has: from the cache while that is fresh enough, and
// else from the store. A store that cannot be reached is used as the cache has it;
// the notes say so. fresh is true where the store itself was asked.
func (s *Finder) index(ctx context.Context, c Store) (x *cache.Index, notes []string, fresh bool, err error) {
	x, ok := s.cache.OpenIndex(c.URL)
	age := time.Duration(0)
	if ok {
		age = time.Since(x.State.Checked)
	}
	current, err := s.isCurrent(c, x)
	if err != nil {
		return nil, nil, false, err
	}
	switch {
	case ok && s.opts.Offline && !c.isHere() && age >= staleAfter:
		return x, append(indexNotes(x, c), fmt.Sprintf("store %s: used as it was %s ago", c.Name, ageText(age))), false, nil
	case ok && s.opts.Offline && !c.isHere(), ok && current && !c.isHere() && age >= 0 && age < s.opts.TTL:
		return x, indexNotes(x, c), false, nil
	case s.opts.Offline && !c.isHere():
		return nil, nil, false, &OfflineError{What: "store " + c.Name}
	}
	now, notes, err := s.refresh(ctx, c)
	if _, unreachable := errors.AsType[*git.UnreachableError](err); unreachable && ok && ctx.Err() == nil {
		age = max(age, 0)
		if age >= staleAfter {
			return nil, nil, true, &StaleError{Name: c.Name, Age: age, Err: err}
		}
		note := fmt.Sprintf("store %s: used as it was %s ago: %v", c.Name, ageText(age), err)
		return x, append(indexNotes(x, c), note), true, nil
	}
	if err != nil {
		return nil, notes, true, err
	}
	bound, err := s.bind(ctx, c, now)
	return now, append(notes, bound...), true, err
}

// indexNotes tells of the files that were passed over, once for a store.
func indexNotes(x *cache.Index, c Store) []string {
	var notes []string
	one, many := c.kind.parts()
	if x.State.Passed > 0 && len(x.State.Problems) > 0 {
		notes = append(notes, fmt.Sprintf("store %s: %s, the first because of this: %s", c.Name, passedOver(x.State.Passed, one, many), x.State.Problems[0]))
	}
	for i, key := range x.Again {
		if i == cache.MaxProblems {
			return append(notes, fmt.Sprintf("store %s: and %d other versions that had been withdrawn", c.Name, len(x.Again)-i))
		}
		notes = append(notes, x.ReturnedNote(c.Name, key))
	}
	return notes
}

// passedOver says how many files or entries were passed over.
func passedOver(n int, one, many string) string {
	return plain.Count(n, one+" was", many+" were") + " skipped"
}

// staleAfter is how long a store that does not answer is used as it was. Whoever can
// keep it from answering keeps back what was withdrawn since.
const staleAfter = 7 * 24 * time.Hour

// A StaleError says that a store did not answer, and has not for so long that it is
// not used as it was.
type StaleError struct {
	Name string
	Age  time.Duration // since it last answered
	Err  error         // why it did not answer now
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("it last answered %s ago, which is too long to use it as it was: %v", ageText(e.Age), e.Err)
}

// Unwrap returns why the store did not answer.
func (e *StaleError) Unwrap() error { return e.Err }

// ageText is a time in words, in days where it is two or more.
func ageText(age time.Duration) string {
	if days := int(age / (24 * time.Hour)); days >= 2 {
		return fmt.Sprintf("%d days", days)
	}
	return age.Round(time.Second).String()
}

// refresh asks a store and brings the cache up to date.
func (s *Finder) refresh(ctx context.Context, c Store) (*cache.Index, []string, error) {
	if s.opts.Offline && !c.isHere() {
		return nil, nil, &OfflineError{What: "store " + c.Name}
	}
	unlock, err := s.cache.Lock(ctx, "store "+c.URL)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	old, ok := s.cache.OpenIndex(c.URL)
	if !ok {
		old = nil
	}
	x, err := c.kind.refresh(ctx, s, c, old)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, nil, asNoStore(err)
	}
	return x, indexNotes(x, c), nil
}

// asNoStore says of a place without repository or file that there is no store.
func asNoStore(err error) error {
	if m, ok := errors.AsType[*git.NotFoundError](err); ok {
		return &records.NoStoreError{Name: m.URL, Err: m.Err}
	}
	return err
}

// Bound is the store that has a name, with the namespaces that belong to it now: it is
// asked where the cache is too old.
func (s *Finder) Bound(ctx context.Context, name string) (Store, error) {
	c, err := s.Store(name)
	if err != nil {
		return c, err
	}
	if _, _, _, err := s.index(ctx, c); err != nil {
		return c, fmt.Errorf("store %s: %w", c.Name, err)
	}
	return s.Store(name)
}
