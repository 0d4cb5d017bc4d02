package rebase

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"fnb/schema/rebaseplan"
)

// Undo has the tags that were moved name again what they did, and removes those that were made. A tag that names
// something else by now is left, and is a failure, as is one that the registry does not remove.
func (a *Applier) Undo(ctx context.Context) (Summary, error) {
	a.sum = Summary{}
	var todo []*rebaseplan.Image
	for n := range a.Plan.Images {
		i := &a.Plan.Images[n]
		if last, ok := a.Journal.Last(i.Reference()); ok && last.State != rebaseplan.Undone && len(last.Tags) > 0 {
			todo = append(todo, i)
		}
	}
	a.sum.Left = len(todo)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(cmp.Or(a.Parallel, atOnce))
	for _, i := range todo {
		g.Go(func() error { return a.undo(gctx, i) })
	}
	err := g.Wait()
	return a.sum, errors.Join(err, ctx.Err())
}

func (a *Applier) undo(ctx context.Context, i *rebaseplan.Image) error {
	last, _ := a.Journal.Last(i.Reference())
	out := Outcome{Image: i, State: rebaseplan.Undone, Becomes: i.Digest}
	if out.Err = a.takeBack(ctx, i, last); out.Err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		out.State = rebaseplan.Failed
	} else if err := a.Journal.Add(rebaseplan.Entry{Image: i.Reference(), State: rebaseplan.Undone, Becomes: last.Becomes, Tags: last.Tags}); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sum.Left--
	if out.Err != nil {
		a.sum.Failed++
	} else {
		a.sum.Done++
	}
	if a.Each != nil {
		a.Each(out)
	}
	return nil
}

func (a *Applier) takeBack(ctx context.Context, i *rebaseplan.Image, last rebaseplan.Entry) error {
	var move, remove []string
	for _, tag := range last.Tags {
		now, ok, err := tagged(ctx, a.Registry, i.Repository+":"+tag)
		if err != nil {
			return err
		}
		made := !slices.Contains(i.Tags, tag)
		switch {
		case !ok && made, ok && now.String() == i.Digest:
		case !ok:
			return fmt.Errorf("the tag %s is gone", tag)
		case now.String() != last.Becomes:
			return fmt.Errorf("the tag %s was moved since: it names %s", tag, now)
		case made:
			remove = append(remove, i.Repository+":"+tag)
		default:
			move = append(move, i.Repository+":"+tag)
		}
	}
	if len(move) > 0 {
		was, err := a.Registry.Ask(ctx, i.Reference())
		if err != nil {
			return fmt.Errorf("what it was: %w", err)
		}
		for _, tag := range move {
			if err := a.Registry.Tag(ctx, was, tag); err != nil {
				return err
			}
		}
	}
	for _, tag := range remove {
		if err := a.Registry.Untag(ctx, tag); err != nil {
			return fmt.Errorf("removing the tag %s, which can be left: %w", tag, err)
		}
	}
	return nil
}
