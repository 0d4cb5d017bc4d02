package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fnb/builder"
	"fnb/packaging"
	"fnb/schema"
	"fnb/store"
)

// runChanged prints the functions whose inputs differ from those that a git
// revision has. Nothing is built, and no builder is asked.
func (g *globals) runChanged(ctx context.Context, o *buildOptions, names []string) error {
	p, fns, err := g.newPipeline(o, names, schema.BuildKeys())
	if err != nil {
		return err
	}
	then, err := g.pipelineAt(p, o)
	if err != nil {
		return fmt.Errorf("comparing with %s: %w", o.changedSince, err)
	}
	if then != nil {
		defer func() { _ = os.RemoveAll(then.dir) }() // a leftover in the temporary folder
	}
	changed := []string{}
	var errs []error
	for _, fn := range fns {
		if fn.SkipBuild {
			continue
		}
		differs, err := differs(ctx, p, then, fn)
		if err != nil {
			errs = append(errs, &functionError{name: fn.Name, place: placeOf(p.stack, fn), doing: "comparing with " + o.changedSince, err: err})
		}
		if differs {
			changed = append(changed, fn.Name)
		}
	}
	if err := errors.Join(errs...); err != nil {
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

// A past is the project as a revision has it.
type past struct {
	*pipeline
	dir string // where its files are
}

// pipelineAt opens the project of an earlier revision; nil where the revision is
// git's null commit, or has no such stack file, so that everything is new.
func (g *globals) pipelineAt(p *pipeline, o *buildOptions) (*past, error) {
	if strings.Trim(o.changedSince, "0") == "" {
		return nil, nil
	}
	root, err := store.WorktreeRoot(filepath.Dir(p.stack.File))
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(root, p.stack.File)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fnb-changed-*")
	if err != nil {
		return nil, err
	}
	old := *g
	old.file = filepath.Join(dir, rel)
	err = store.WriteRevision(root, o.changedSince, dir)
	var then *pipeline
	if err == nil {
		all := *o
		all.choice = choice{} // of what is now
		all.outside = p.reach.Allow
		for _, path := range p.reach.Allow { // in the checkout that is where it was
			if below, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(below) {
				all.outside = append(all.outside, filepath.Join(dir, below))
			}
		}
		then, _, err = old.newPipeline(&all, nil, nil)
	}
	if err == nil {
		then.stats = nil // of files that are about to be removed
		return &past{then, dir}, nil
	}
	_ = os.RemoveAll(dir) // the error says more
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return nil, err
}

// differs reports whether a function is not what it was. One that could not be
// built then is new now.
func differs(ctx context.Context, now *pipeline, then *past, fn schema.Function) (bool, error) {
	is, err := now.sourceInputs(ctx, fn)
	if err != nil || then == nil {
		return true, err
	}
	at := slices.IndexFunc(then.stack.Functions, func(f schema.Function) bool { return f.Name == fn.Name })
	if at < 0 || then.stack.Functions[at].Image != fn.Image {
		return true, nil
	}
	was, err := then.sourceInputs(ctx, then.stack.Functions[at])
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return err != nil || is.Digest() != was.Digest(), nil
}

// sourceInputs are the inputs of a function as far as the checkout decides them:
// base images count by what fnb.lock says of them, platforms by what the stack or
// the command line says.
func (p *pipeline) sourceInputs(ctx context.Context, fn schema.Function) (packaging.Inputs, error) {
	j := &job{fn: fn, report: &schema.FunctionReport{}}
	tmpl, err := p.resolve(ctx, j)
	if err != nil {
		return nil, err
	}
	bc, err := p.pack(ctx, j, tmpl)
	if err != nil {
		return nil, err
	}
	s := packaging.Settings{
		Platforms: p.opts.forced, Target: p.opts.target, Bases: map[string]string{}, Labels: maps.Clone(bc.Config.Labels),
		Secrets: slices.Sorted(maps.Keys(bc.Secrets)),
	}
	if len(s.Platforms) == 0 {
		s.Platforms = fn.Platforms
	}
	for _, ref := range baseReferences(bc) {
		s.Bases[ref] = p.pins.base(ref)
	}
	if ref, err := builder.FullReference(bc.Watchdog); err == nil && bc.Watchdog != defaultWatchdog && !isDigested(ref) {
		s.Bases[ref] = anyDigest(p.pins.watchdog(ref))
	}
	maps.Copy(s.Labels, p.opts.labels)
	return bc.Inputs(s)
}
