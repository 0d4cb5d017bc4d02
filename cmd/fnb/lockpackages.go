package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"fnb/internal/plain"
	"fnb/packaging"
	"fnb/pipeline/locks"
	"fnb/schema/words"
)

// runLockPackages makes the locks of the functions' package managers.
func (g *globals) runLockPackages(ctx context.Context, want wanted, upgrade bool) error {
	in := &want.settings.Inputs
	in.Target, in.Watchdog = words.LockStage, words.WatchdogNone
	rules, err := g.rules.read()
	if err != nil {
		return err
	}
	in.Relock = &packaging.Relock{At: strconv.FormatInt(time.Now().Unix(), 10), Anew: upgrade}
	if before, reviewed := rules.PublishedBefore(); !before.IsZero() {
		in.Relock.Before, in.Relock.Reviewed = before.UTC().Format(time.RFC3339), reviewed
	}
	p, fns, err := g.newPipeline(want)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := g.showing(p, len(fns)); err != nil {
		return err
	}
	made, passed, err := locks.Make(ctx, p.Pipeline, fns, len(want.names) > 0)
	p.Progress.Close()
	p.Progress = nil
	for _, f := range passed {
		g.tellMore([]string{f.Error()})
	}
	err = errors.Join(err, p.WriteLock())
	return errors.Join(g.printLocks(made), err)
}

// printLocks prints the locks that were made, one a line.
func (g *globals) printLocks(made []locks.Lock) error {
	if g.json {
		if made == nil {
			made = []locks.Lock{}
		}
		return g.printJSON(made)
	}
	var errs []error
	for _, l := range made {
		state := "unchanged"
		if l.Changed {
			state = "written"
		}
		_, err := fmt.Fprintln(g.out, l.Manager, plain.Line(relative(l.File)), state)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
