package disk

import (
	"context"
	"fmt"
	"time"

	"github.com/gofrs/flock"
)

// lockRetry is how often a lock that somebody else holds is asked for.
const lockRetry = 5 * time.Millisecond

// Lock waits for the file lock at path, which nobody else holds then, and returns how to
// let go of it. The lock ends with the process, however it ends. The file is made where
// it is not there, and stays.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	l := newLock(path)
	return wait(ctx, l, l.TryLockContext)
}

// Share is [Lock] for a lock that any number may share, but not with one that has it
// alone.
func Share(ctx context.Context, path string) (unlock func(), err error) {
	l := newLock(path)
	return wait(ctx, l, l.TryRLockContext)
}

// TryLock is [Lock] that does not wait: ok is false where somebody else holds the lock.
func TryLock(path string) (unlock func(), ok bool, err error) {
	l := newLock(path)
	return try(l, l.TryLock)
}

// TryShare is [Share] that does not wait.
func TryShare(path string) (unlock func(), ok bool, err error) {
	l := newLock(path)
	return try(l, l.TryRLock)
}

func newLock(path string) *flock.Flock { return flock.New(path, flock.SetPermissions(0o600)) }

func wait(ctx context.Context, l *flock.Flock, ask func(context.Context, time.Duration) (bool, error)) (func(), error) {
	if _, err := ask(ctx, lockRetry); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("locking %s: %w", l.Path(), err)
	}
	return release(l), nil
}

func try(l *flock.Flock, ask func() (bool, error)) (unlock func(), ok bool, err error) {
	ok, err = ask()
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("locking %s: %w", l.Path(), err)
	case !ok:
		return nil, false, nil
	}
	return release(l), true, nil
}

// release closes the file, which is what lets go of the lock; it cannot fail in a way
// that keeps it.
func release(l *flock.Flock) func() { return func() { _ = l.Close() } }
