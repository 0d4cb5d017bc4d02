package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"fnb/builder"
	"fnb/gitrepo"
	"fnb/packaging"
	"fnb/schema"
)

// runChanged prints the functions whose inputs differ from those that a git
// revision has. Nothing is built, and no builder is asked.
func (g *globals) runChanged(ctx context.Context, o *buildOptions, names []string) error {
	if g.alone != (lone{}) {
		return usagef("fnb build", "--changed-since compares what the stack file says, and --lang is for a function without one")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opened := g.openRepository(ctx, o)
	p, fns, err := g.newPipeline(o, names, schema.BuildKeys())
	if err != nil {
		return err
	}
	then, err := g.pipelineAt(ctx, p, o, fns, opened)
	if err != nil {
		return fmt.Errorf("comparing with %s: %w", o.changedSince, err)
	}
	if then != nil {
		defer then.close()
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

// A past is the project as a revision has it. Of its files those are written to a folder
// that are read.
type past struct {
	*pipeline
	dir   string // where its files are
	repo  *gitrepo.Repo
	tree  *gitrepo.Tree
	wrote map[string]bool // paths in the repository
	same  map[string]bool // what untouched says, by whether it need not be there and the path

	checkout gitrepo.Checkout // says what is as the revision has it
	alike    bool             // the stack has the same functions
}

// openRepository opens the repository that the stack file is in, while that is read.
func (g *globals) openRepository(ctx context.Context, o *buildOptions) func() (*gitrepo.Repo, error) {
	open := sync.OnceValues(func() (*gitrepo.Repo, error) {
		file, err := g.stackFile()
		if err != nil {
			return nil, err
		}
		return gitrepo.Open(ctx, filepath.Dir(relative(file)), gitrepo.Options{Offline: g.offline, Ahead: true})
	})
	if !o.sinceNothing() {
		go func() { _, _ = open() }() // whoever needs it has the error
	}
	return open
}

// sinceNothing reports whether the revision is git's null commit.
func (o *buildOptions) sinceNothing() bool { return strings.Trim(o.changedSince, "0") == "" }

// pipelineAt opens the project of an earlier revision; nil where the revision is
// git's null commit, or has no such stack file, so that everything is new.
func (g *globals) pipelineAt(ctx context.Context, p *pipeline, o *buildOptions, fns []schema.Function, opened func() (*gitrepo.Repo, error)) (_ *past, err error) {
	if o.sinceNothing() {
		return nil, nil
	}
	repo, err := opened()
	if err != nil {
		return nil, err
	}
	then := &past{repo: repo, wrote: map[string]bool{}, same: map[string]bool{}}
	if then.dir, err = os.MkdirTemp("", "fnb-changed-*"); err != nil {
		return nil, err
	}
	revision := sync.OnceValues(func() (*gitrepo.Tree, error) { return repo.Tree(ctx, o.changedSince) })
	var both errgroup.Group
	both.Go(func() (err error) {
		then.checkout, err = repo.Checkout(ctx, revision, p.repositoryPaths(repo, fns))
		return err
	})
	both.Go(func() (err error) {
		if then.tree, err = revision(); err != nil {
			return err
		}
		return then.open(ctx, g, p, o)
	})
	if err = both.Wait(); err == nil {
		then.alike = reflect.DeepEqual(p.stack.Functions, then.stack.Functions)
		return then, nil
	}
	then.close() // the error says more
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return nil, err
}

// open reads the stack file and the lock of the revision.
func (t *past) open(ctx context.Context, g *globals, p *pipeline, o *buildOptions) error {
	stackFile := filepath.Base(p.stack.File)
	for _, name := range []string{stackFile, filepath.Base(lockFile(p.stack.File))} {
		if err := t.write(ctx, name); err != nil && (name == stackFile || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	old, all := *g, *o
	old.file = filepath.Join(t.dir, filepath.FromSlash(t.repo.Prefix), stackFile)
	all.choice = choice{} // of what is now
	all.outside = p.reach.Allow
	for _, path := range p.reach.Allow { // in the checkout that is where it was
		if below, ok := t.below(path); ok {
			all.outside = append(all.outside, filepath.Join(t.dir, filepath.FromSlash(below)))
		}
	}
	is, err := os.ReadFile(p.stack.File)
	if err != nil {
		return err
	}
	was, err := os.ReadFile(old.file)
	if err != nil {
		return err
	}
	if bytes.Equal(is, was) { // it says the same
		stack := *p.stack
		stack.File = old.file
		t.pipeline, err = old.pipelineOf(&stack, &all)
	} else {
		t.pipeline, _, err = old.newPipeline(&all, nil, nil)
	}
	if err == nil {
		t.stats = nil // of files that are about to be removed
	}
	return err
}

// close removes the files.
func (t *past) close() {
	if t.tree != nil {
		_ = t.tree.Close() // it was only read from
	}
	_ = os.RemoveAll(t.dir) // a leftover in the temporary folder
}

// below is where a path of this machine is in the repository, with slashes; ok is false
// where it is not in it.
func (t *past) below(path string) (name string, ok bool) {
	root, err := filepath.EvalSymlinks(t.repo.Root)
	if err != nil {
		return "", false
	}
	for _, top := range []string{t.repo.Root, root} {
		if below, err := filepath.Rel(top, path); err == nil && filepath.IsLocal(below) {
			return filepath.ToSlash(below), true
		}
	}
	return "", false
}

// write writes the files at a path of the stack, once.
func (t *past) write(ctx context.Context, path string) error {
	name, ok := t.repo.Path(path)
	if filepath.IsAbs(filepath.FromSlash(path)) {
		name, ok = t.below(path)
	}
	if !ok || t.wrote[name] {
		return nil // what is elsewhere has no revision
	}
	root, err := os.OpenRoot(t.dir) // nothing is written outside of it
	if err != nil {
		return err
	}
	t.wrote[name] = true
	return errors.Join(t.tree.Write(ctx, root, name), root.Close())
}

// writeInputs writes what a function of the revision is made of. What the revision does not
// have is for whoever reads it to miss.
func (t *past) writeInputs(ctx context.Context, fn schema.Function) error {
	paths, perhaps := t.pipeline.inputPaths(fn)
	for _, f := range t.stack.Functions {
		perhaps = slices.AppendSeq(perhaps, maps.Values(f.BuildSecrets))
	}
	for _, path := range slices.Concat(paths, perhaps) {
		if err := t.write(ctx, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// inputPaths are the paths of the stack that a function's image is made of, and those that
// need not be there: where its template may be.
func (p *pipeline) inputPaths(fn schema.Function) (paths, perhaps []string) {
	paths = slices.Concat([]string{fn.Handler}, p.stack.Configuration.Copy, p.opts.copies)
	sources := []string{fn.Lang}
	for _, src := range p.stack.Configuration.Templates {
		sources = append(sources, src.Source)
	}
	for _, src := range sources {
		if ref, err := schema.ParseTemplateRef(src); err == nil && ref.Kind == schema.RefFolder {
			perhaps = append(perhaps, ref.Dir)
		}
	}
	return paths, append(perhaps, "template")
}

// repositoryPaths are the paths in a repository of what functions are made of.
func (p *pipeline) repositoryPaths(repo *gitrepo.Repo, fns []schema.Function) []string {
	var all []string
	for _, fn := range fns {
		paths, perhaps := p.inputPaths(fn)
		for _, path := range slices.Concat(paths, perhaps) {
			if name, ok := repo.Path(path); ok {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// unchanged reports whether a function surely is what it was, without reading its files:
// what the stack file, the lock and the command line say of it is the same, and git knows
// that nothing has changed where it is made of.
func (t *past) unchanged(now *pipeline, fn, was schema.Function) bool {
	is, had := now.pins.file, t.pins.file // what was found out since is no difference
	if !t.alike {                         // whose titles depend on one another
		fn, was = now.titled(fn), t.titled(was)
	}
	fn.Line, was.Line = 0, 0
	if !reflect.DeepEqual(fn, was) || !reflect.DeepEqual(now.stack.Configuration, t.stack.Configuration) ||
		!reflect.DeepEqual(is.Templates[fn.Lang], had.Templates[fn.Lang]) || !reflect.DeepEqual(is.Bases, had.Bases) ||
		!reflect.DeepEqual(is.Watchdogs, had.Watchdogs) || !reflect.DeepEqual(is.Settings, had.Settings) ||
		now.openFaaS != t.openFaaS || !reflect.DeepEqual(secretsOf(now.stack), secretsOf(t.stack)) {
		return false
	}
	if len(fn.BuildSecrets)+len(fn.EnvironmentFile) > 0 && now.checkPaths(fn) != nil {
		return false
	}
	paths, perhaps := now.inputPaths(fn)
	for i, path := range slices.Concat(paths, perhaps) {
		perhaps := i >= len(paths)
		key := fmt.Sprint(perhaps, path)
		same, known := t.same[key]
		if !known {
			same = t.untouched(now, path, perhaps)
			t.same[key] = same
		}
		if !same {
			return false
		}
	}
	return true
}

// untouched reports whether what is at a path of the stack is surely as it was, and where the
// stack says it is: not by way of a link.
func (t *past) untouched(now *pipeline, path string, perhaps bool) bool {
	name, ok := t.repo.Path(path)
	if !ok || filepath.IsAbs(path) || !t.checkout.Same(name) {
		return false
	}
	if !filepath.IsLocal(filepath.FromSlash(path)) { // it has to be allowed
		leads, err := now.reach.Path(path)
		if at, ok := t.below(leads); err != nil || !ok || at != name {
			return false
		}
	}
	e, err := t.tree.Entry(name) // which goes through folders alone
	return err == nil && (e.Mode == gitrepo.Folder || e.Mode.IsFile()) || perhaps && errors.Is(err, fs.ErrNotExist)
}

// leftOut reports whether a path of the stack is one that a sparse checkout leaves out.
func (t *past) leftOut(path string) bool {
	if t == nil {
		return false
	}
	name, ok := t.repo.Path(path)
	return ok && t.checkout.LeftOut(name)
}

// secretsOf are the files of the build secrets of all functions, which no image has.
func secretsOf(stack *schema.Stack) []string {
	var files []string
	for _, fn := range stack.Functions {
		files = slices.AppendSeq(files, maps.Values(fn.BuildSecrets))
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// differs reports whether a function is not what it was. One that could not be
// built then is new now.
func differs(ctx context.Context, now *pipeline, then *past, fn schema.Function) (bool, error) {
	at := -1
	if then != nil {
		at = slices.IndexFunc(then.stack.Functions, func(f schema.Function) bool { return f.Name == fn.Name })
	}
	if at >= 0 && then.unchanged(now, fn, then.stack.Functions[at]) {
		return false, nil
	}
	is, err := now.sourceInputs(ctx, fn)
	if missing, ok := errors.AsType[*schema.MissingError](err); ok && then.leftOut(missing.Path) {
		return true, nil // git knows that it changed, and it is not checked out
	}
	if err != nil || at < 0 || then.stack.Functions[at].Image != fn.Image {
		return true, err
	}
	if err := then.writeInputs(ctx, then.stack.Functions[at]); err != nil {
		return false, err
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
