package fleet

import (
	"context"
	"errors"

	"fnb/builder"
)

// A State is what is found of one builder.
type State struct {
	builder.Info
	Running bool   // it answers
	Bytes   *int64 // of its cache; nil where it was not asked
	Err     error  // why it does not answer, or does not say all of it
}

// Inspect asks each builder of a choice for itself and its cache. One of several that does
// not answer is part of the answer; that nobody does is an error.
func Inspect(ctx context.Context, c Choice) ([]State, error) {
	named, by, err := c.options()
	if err != nil {
		return nil, err
	}
	if !several(named) {
		client, err := c.single(ctx, named, by)
		if err != nil {
			return nil, err
		}
		s := inspect(ctx, client)
		return []State{s}, s.Err
	}
	named, err = builder.Expand(ctx, named)
	errs := []error{err}
	var states []State
	answered := false
	for _, o := range named {
		client, err := builder.Dial(ctx, o)
		s := State{Err: err}
		if err == nil {
			s = inspect(ctx, client)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.Address = o.Address
		answered = answered || s.Running
		errs = append(errs, s.Err)
		states = append(states, s)
	}
	if !answered {
		return nil, errors.Join(errs...)
	}
	return states, nil
}

// inspect asks a builder that answers, and ends the connection.
func inspect(ctx context.Context, client *builder.Client) State {
	defer func() { _ = client.Close() }() // nothing is asked of it any more
	s := State{Running: true}
	if s.Info, s.Err = client.Info(ctx); s.Err == nil {
		var bytes int64
		bytes, s.Err = client.DiskUsage(ctx)
		s.Bytes = &bytes
	}
	return s
}

// Prune drops the caches of all builders of a choice, and returns the bytes that were
// freed. Of several each is asked, whether or not another one answers.
func Prune(ctx context.Context, c Choice) (int64, error) {
	named, by, err := c.options()
	if err != nil {
		return 0, err
	}
	if !several(named) {
		client, err := c.single(ctx, named, by)
		if err != nil {
			return 0, err
		}
		defer func() { _ = client.Close() }() // nothing is asked of it any more
		return client.Prune(ctx, 0)
	}
	var freed int64
	err = each(ctx, named, func(_ builder.Options, client *builder.Client) error {
		n, err := client.Prune(ctx, 0)
		freed += n
		return errors.Join(err, client.Close())
	})
	return freed, err
}
