package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"fnb/gitrepo"
	"fnb/internal/disk"
	"fnb/pipeline/effects"
	"fnb/pipeline/locks"
)

// describedSince is the revision that a description compares with.
const describedSince = "HEAD"

// check refuses flags that make no sense together.
func (o *updateOptions) check(command string, names []string) error {
	switch {
	case o.dryRun && o.packages:
		return usagef(command, "--dry-run and --packages cannot be used together: fnb outdated --all says which packages would move")
	case o.dryRun && o.describe != "":
		return usagef(command, "--dry-run and --describe cannot be used together: what is described is built and tested")
	case o.packages && len(names) > 0:
		return usagef(command, "--packages is about all functions, and %q names one entry: use fnb lock --packages --upgrade for single functions", names[0])
	case o.describe == "" && (o.database.update || o.database.folder != ""):
		return usagef(command, "--db and --update-db are for --describe")
	}
	return nil
}

// beginDescription removes an earlier description, so that there is one only of what moves now. That there is something to
// compare with is seen before anything moves.
func (g *globals) beginDescription(ctx context.Context, o *updateOptions) error {
	if o.describe == "" {
		return nil
	}
	repo, err := g.openRepository(ctx, describedSince)()
	if err == nil {
		var tree *gitrepo.Tree
		if tree, err = repo.Tree(ctx, describedSince); err == nil {
			err = tree.Close()
		}
	}
	if err != nil {
		return hint(fmt.Errorf("comparing with git's %s: %w", describedSince, err), "commit what is there first, or leave out --describe")
	}
	if err := os.Remove(o.describe); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("writing what changes: %w", err)
	}
	return nil
}

// relock makes the locks of package managers anew.
func (g *globals) relock(ctx context.Context, o *updateOptions) ([]locks.Lock, error) {
	s, err := o.inputs.settings("fnb update")
	if err != nil {
		return nil, err
	}
	made, err := g.lockPackages(ctx, wanted{settings: s, insecure: o.inputs.insecure, keys: lockKeys()}, true, true)
	if locks.Nothing(err) {
		g.tellMore([]string{err.Error()})
		err = nil
	}
	return slices.DeleteFunc(made, func(l locks.Lock) bool { return !l.Changed }), err
}

// describeUpdate builds and tests what has moved, and writes what changes. The error is that of a test that fails, or of what
// stops it.
func (g *globals) describeUpdate(ctx context.Context, o *updateOptions, u *updateResult, unlocked error) error {
	if o.describe == "" || len(u.Pins)+len(u.Files)+len(u.Locks) == 0 {
		return nil
	}
	c := &effects.Change{Pins: u.Pins, Files: u.Files, Unlocked: unlocked}
	for _, l := range u.Locks {
		l.File = relative(l.File)
		c.Locks = append(c.Locks, l)
	}
	var err error
	if c.Functions, err = g.lookAtEffects(ctx, o); err != nil {
		return err
	}
	var failed error
	if len(c.Functions) > 0 {
		t := &testOptions{}
		t.inputs, t.timeout = o.inputs, 30*time.Second
		if err := t.parse("fnb update"); err != nil {
			return err
		}
		var names []string
		for _, f := range c.Functions {
			names = append(names, f.Name)
		}
		results, err := g.testFunctions(ctx, t, names)
		if len(results) < len(names) && err != nil {
			return err
		}
		c.Tests = results
		failed = testFailures(ofStack, results)
		if c.Holes.Failed = g.auditEffects(ctx, o, c); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(disk.ReplaceFile(o.describe, []byte(c.Markdown()), 0o644), failed)
}
