package main

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"fnb/audit"
	"fnb/packaging"
	"fnb/pipeline/effects"
	"fnb/schema"
)

// lookAtEffects makes the images of the functions that have changed, before and after.
func (g *globals) lookAtEffects(ctx context.Context, o *updateOptions) ([]effects.Function, error) {
	s, err := o.inputs.settings("fnb update")
	if err != nil {
		return nil, err
	}
	s.Parallel = runtime.NumCPU()
	p, fns, err := g.newPipeline(wanted{settings: s, insecure: o.inputs.insecure, keys: schema.BuildKeys()})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := p.open(g, len(fns)); err != nil {
		return nil, err
	}
	return effects.Look(ctx, p.Pipeline, fns, describedSince, g.openRepository(ctx, describedSince))
}

// auditEffects looks up what is known to be wrong with the images; if the newest advisories cannot be fetched, in those that
// are there.
func (g *globals) auditEffects(ctx context.Context, o *updateOptions, c *effects.Change) error {
	dir, cache, err := o.database.dirs()
	if err != nil {
		return err
	}
	var old error // the newest advisories are not here
	if o.database.update {
		old = g.updateDatabase(ctx, o.database.source, dir, cache, c.Documents())
	}
	own, err := packaging.Watchdog()
	if err != nil {
		return err
	}
	db := g.openDatabase(dir, cache)
	defer func() { _ = db.Close() }() // it was only read
	q := audit.Question{Database: db, Now: time.Now(), Watchdog: slices.Sorted(maps.Values(own.Layers))}
	stackFile, err := g.stackFile()
	if err == nil {
		err = g.readVEX(&q, nil, filepath.Dir(stackFile))
	}
	if err != nil {
		return err
	}
	return errors.Join(c.Audit(ctx, q), old)
}
