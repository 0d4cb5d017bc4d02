package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"fnb/internal/plain"
	"fnb/packaging"
	"fnb/pipeline/locks"
	"fnb/pipeline/pins"
	"fnb/schema/words"
)

// runLockPackages makes the locks of the functions' package managers, and prints them.
func (g *globals) runLockPackages(ctx context.Context, want wanted, upgrade bool) error {
	made, err := g.lockPackages(ctx, want, upgrade, true)
	return errors.Join(g.printLocks(made), err)
}

// lockPackages makes the locks of the functions' package managers, and writes them or only says what they are.
func (g *globals) lockPackages(ctx context.Context, want wanted, upgrade, write bool) ([]locks.Lock, error) {
	in := &want.settings.Inputs
	in.Target, in.Watchdog = words.LockStage, words.WatchdogNone
	rules, err := g.rules.read()
	if err != nil {
		return nil, err
	}
	in.Relock = &packaging.Relock{At: strconv.FormatInt(time.Now().Unix(), 10), Anew: upgrade}
	if before, reviewed := rules.PublishedBefore(); !before.IsZero() {
		in.Relock.Before, in.Relock.Reviewed = before.UTC().Format(time.RFC3339), reviewed
	}
	p, fns, err := g.newPipeline(want)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := g.showing(p, len(fns)); err != nil {
		return nil, err
	}
	do := locks.Try
	if write {
		do = locks.Make
	}
	made, passed, err := do(ctx, p.Pipeline, fns, len(want.names) > 0)
	p.Progress.Close()
	p.Progress = nil
	for _, f := range passed {
		g.tellMore([]string{f.Error()})
	}
	if write {
		err = errors.Join(err, p.WriteLock())
	}
	return made, err
}

// outdatedPackages are the packages of locks than which something newer exists.
func (g *globals) outdatedPackages(ctx context.Context, o *inputFlags, names []string) (changes []pins.Change, err error) {
	s, err := o.settings("fnb outdated")
	if err != nil {
		return nil, err
	}
	all, err := g.lockPackages(ctx, wanted{settings: s, insecure: o.insecure, names: names, keys: lockKeys()}, true, false)
	if err != nil && !locks.Nothing(err) {
		return nil, err
	}
	for _, l := range all {
		for _, m := range l.Moves {
			if m.From == "" || m.To == "" {
				continue // it comes or goes with another one that moves
			}
			c := pins.Change{Kind: pins.Package, Name: m.Ecosystem + " " + m.Name, Locked: &pins.Choice{Version: m.From}, Newest: &pins.Choice{Version: m.To}}
			if !slices.ContainsFunc(changes, func(o pins.Change) bool { return o.Name == c.Name && *o.Locked == *c.Locked && *o.Newest == *c.Newest }) {
				changes = append(changes, c)
			}
		}
	}
	return changes, nil
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
