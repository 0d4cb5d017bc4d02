package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/rollout"
	"fnb/schema"
	"fnb/schema/deploy"
)

// A placement is one function on its way to a platform.
type placement struct {
	function  deploy.Function
	namespace string
	target    rollout.Target
	state     rollout.State // before it
	url       string
	diff      string
	runs      bool // the platform says so
}

// A deployError is why a platform does not run a function.
type deployError struct {
	err error
	o   *deployOptions
	placement
}

func (e *deployError) Error() string { return e.err.Error() }
func (e *deployError) Unwrap() error { return e.err }

// A differsError says that a deployment would change something.
type differsError struct{ n int }

func (e *differsError) Error() string {
	return plain.Count(e.n, "function differs", "functions differ") + " from what runs"
}

// deploysAtOnce is how many functions a platform is told of at a time.
const deploysAtOnce = 4

// runDeploy deploys the functions that are wanted. Images are those that were just pushed, by function; the
// registry knows the others.
func (g *globals) runDeploy(ctx context.Context, o *deployOptions, want wanted, images map[string]string) error {
	p, fns, err := g.newPipeline(want)
	if err != nil {
		return err
	}
	defer p.Close()
	target, err := g.target(o, p.Stack)
	if err != nil {
		return err
	}
	all := make([]*placement, len(fns))
	if err := each(fns, func(i int, fn schema.Function) error {
		all[i] = &placement{}
		return all[i].prepare(ctx, p, o, target, fn, images[fn.Name])
	}); err != nil {
		return err
	}
	if o.diff {
		return g.showDiff(ctx, o, fns, all)
	}
	var mu sync.Mutex
	err = each(fns, func(i int, fn schema.Function) error {
		return g.put(ctx, o, all[i], &mu)
	})
	return errors.Join(err, g.printDeployed(o, all))
}

// each does something with all functions, several at a time, and tells of those with which it failed. A platform that did not answer
// about one function in time is not asked about those that have not begun.
func each(fns []schema.Function, do func(i int, fn schema.Function) error) error {
	failed := make([]*pipeline.FunctionError, len(fns))
	slots := make(chan struct{}, deploysAtOnce)
	var wait sync.WaitGroup
	var silent atomic.Pointer[error]
	for i, fn := range fns {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			var err error
			if before := silent.Load(); before != nil {
				err = *before
			} else {
				err = do(i, fn)
			}
			if e, ok := errors.AsType[*rollout.Error](err); ok && e.Kind == rollout.Unanswered {
				silent.Store(&err)
			}
			if err != nil {
				failed[i] = &pipeline.FunctionError{Name: fn.Name, Err: err}
				if s, ok := errors.AsType[*pipeline.StepError](err); ok {
					failed[i].Doing = s.Doing
					failed[i].Err = s.Err
				}
			}
		})
	}
	wait.Wait()
	failed = slices.DeleteFunc(failed, func(e *pipeline.FunctionError) bool { return e == nil })
	if len(failed) == 0 {
		return nil
	}
	return &pipeline.RunError{Failed: failed, All: len(fns)}
}

// prepare finds out what will be deployed, and what runs.
func (d *placement) prepare(ctx context.Context, p *shownPipeline, o *deployOptions, target func(string) (rollout.Target, error), fn schema.Function, image string) (err error) {
	d.namespace = o.namespace
	if d.namespace == "" {
		d.namespace = fn.Namespace
	}
	if d.target, err = target(d.namespace); err != nil {
		return d.failed(o, "", err)
	}
	if !o.rollback { // an image that is not pushed is said before a platform is asked
		if d.function, err = p.deployed(ctx, fn, o.namespace, image); err != nil {
			return d.failed(o, "looking for its image", err)
		}
	}
	asking, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if d.state, err = d.target.Find(asking, fn.Name); err != nil {
		return d.failed(o, "asking "+o.to, err)
	}
	if !o.rollback {
		d.function.Previous = d.state.Next(d.function.Image)
		return nil
	}
	switch {
	case !d.state.There:
		return d.failed(o, "", fmt.Errorf("%s does not run it, so nothing ran before", o.to))
	case d.state.Previous == "":
		return d.failed(o, "", fmt.Errorf("%s does not know what ran before %s: fnb has deployed no other image there", o.to, plain.Line(d.state.Image)))
	}
	if d.function, err = p.deployed(ctx, fn, o.namespace, d.state.Previous); err != nil {
		return d.failed(o, "looking for the image before", err)
	}
	d.function.Previous = d.state.Next(d.function.Image)
	return nil
}

// put deploys one function, and waits for it.
func (g *globals) put(ctx context.Context, o *deployOptions, d *placement, mu *sync.Mutex) error {
	name := d.function.Name
	ctx, cancel := context.WithTimeout(ctx, o.timeout) // for both: some gateways pull the image before they answer
	defer cancel()
	notes, err := d.target.Apply(ctx, d.function)
	for _, note := range notes {
		g.say(mu, name, "note: %s", note)
	}
	if err != nil {
		return d.failed(o, "deploying it to "+o.to, err)
	}
	if !g.quiet {
		g.say(mu, name, "waiting until it is ready")
	}
	d.url, err = d.target.Wait(ctx, d.function, o.timeout)
	if err != nil {
		return d.failed(o, "waiting until it is ready", err)
	}
	d.runs = true
	return nil
}

// failed is what went wrong with the deployment.
func (d *placement) failed(o *deployOptions, doing string, err error) error {
	err = &deployError{err: err, o: o, placement: *d}
	if doing == "" {
		return err
	}
	return pipeline.While(doing, err)
}

// showDiff prints what would change.
func (g *globals) showDiff(ctx context.Context, o *deployOptions, fns []schema.Function, all []*placement) error {
	if err := each(fns, func(i int, fn schema.Function) (err error) {
		asking, cancel := context.WithTimeout(ctx, o.timeout)
		defer cancel()
		if all[i].diff, err = all[i].target.Diff(asking, all[i].function); err != nil {
			return all[i].failed(o, "comparing it with what runs", err)
		}
		return nil
	}); err != nil {
		return err
	}
	type shown struct {
		Name    string `json:"name"`
		Differs bool   `json:"differs"`
		Diff    string `json:"diff,omitempty"`
	}
	out, n := []shown{}, 0
	var text strings.Builder
	for _, d := range all {
		out = append(out, shown{d.function.Name, d.diff != "", plain.Lines(d.diff)})
		text.WriteString(plain.Lines(d.diff))
		if d.diff != "" {
			n++
		}
	}
	var err error
	if g.json {
		err = g.printJSON(out)
	} else {
		_, err = fmt.Fprint(g.out, text.String())
	}
	if err == nil && n > 0 {
		err = &differsError{n}
	}
	return err
}

// printDeployed prints a line for each function that runs.
func (g *globals) printDeployed(o *deployOptions, all []*placement) error {
	type shown struct {
		Name     string `json:"name"`
		Platform string `json:"platform"`
		URL      string `json:"url"`
		Image    string `json:"image"`
		Previous string `json:"previous,omitempty"`
	}
	out := []shown{}
	for _, d := range all {
		if !d.runs {
			continue
		}
		one := shown{d.function.Name, o.to, d.url, d.function.Image, d.function.Previous}
		out = append(out, one)
		if !g.json {
			if _, err := fmt.Fprintln(g.out, one.Name, one.URL, one.Image); err != nil {
				return err
			}
		}
	}
	if g.json {
		return g.printJSON(out)
	}
	return nil
}

// deployed is what a platform is told of a function. Its image is the one that a reference with a digest
// names, or with "" what its tag is now.
func (p *shownPipeline) deployed(ctx context.Context, fn schema.Function, namespace, image string) (deploy.Function, error) {
	f, err := p.ofStack(ctx, fn, namespace, image)
	if err != nil {
		return f, err
	}
	if image == "" {
		refs, err := p.References(ctx, fn)
		if err != nil {
			return deploy.Function{}, err
		}
		image = refs[0].Text
	}
	f.Image, f.Built, err = p.pinned(ctx, image)
	return f, err
}

// ofStack is what the stack says of a function, with an image as it is given.
func (p *shownPipeline) ofStack(_ context.Context, fn schema.Function, namespace, image string) (deploy.Function, error) {
	if err := p.CheckPaths(fn); err != nil {
		return deploy.Function{}, err
	}
	env, err := fn.ReadEnvironment(p.Reach)
	return deploy.Function{
		Name: fn.Name, Namespace: cmp.Or(namespace, fn.Namespace), Image: image, FProcess: fn.FProcess,
		Environment: env, Secrets: fn.Secrets, Labels: fn.Labels, Annotations: fn.Annotations,
		Constraints: fn.Constraints, Limits: fn.Limits, Requests: fn.Requests, ReadOnlyRoot: fn.ReadOnlyRootFilesystem,
	}, err
}
