package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"fnb/gitrepo"
	"fnb/pipeline/changes"
)

// runChanged prints the functions whose inputs differ from those that a git
// revision has. Nothing is built, and no builder is asked.
func (g *globals) runChanged(ctx context.Context, want wanted, since string) error {
	if g.alone != (lone{}) {
		return usagef("fnb build", "--changed-since compares what the stack file says, and --lang is for a function without one")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opened := g.openRepository(ctx, since)
	p, fns, err := g.newPipeline(want)
	if err != nil {
		return err
	}
	changed, err := changes.Since(ctx, p.Pipeline, fns, since, opened)
	if err != nil {
		return err
	}
	if g.json {
		return g.printJSON(changed)
	}
	for _, name := range changed {
		if _, err := fmt.Fprintln(g.out, name); err != nil {
			return err
		}
	}
	return nil
}

// openRepository opens the repository that the stack file is in, while that is read.
func (g *globals) openRepository(ctx context.Context, since string) func() (*gitrepo.Repo, error) {
	open := sync.OnceValues(func() (*gitrepo.Repo, error) {
		file, err := g.stackFile()
		if err != nil {
			return nil, err
		}
		return gitrepo.Open(ctx, filepath.Dir(relative(file)), gitrepo.Options{Offline: g.offline, Ahead: true})
	})
	if !changes.IsNullCommit(since) {
		go func() { _, _ = open() }() // whoever needs it has the error
	}
	return open
}
