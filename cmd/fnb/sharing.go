package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"fnb/registry"
	"fnb/schema"
)

// jobs makes a job of each image that is to be built. Functions that share one, as
// OpenFaaS's stacks have it for one handler with several environments, are one job. A
// reference that is none, or that functions with different inputs share, is an error
// before anything is built.
func (p *pipeline) jobs(ctx context.Context, fns []schema.Function) ([]*job, error) {
	var jobs []*job
	var errs []error
	owner := map[string]*job{}
	for _, fn := range fns {
		fn = p.made(fn)
		if fn.SkipBuild {
			continue
		}
		j := &job{fn: fn, place: placeOf(p.stack, fn)}
		var err error
		if j.refs, err = p.references(ctx, fn); err == nil && p.opts.dest.shared() && p.opts.contextOnly == "" {
			var shared bool
			if shared, err = share(owner, j); shared {
				continue
			}
		}
		if err != nil {
			errs = append(errs, &functionError{name: fn.Name, place: j.place, err: err})
			continue
		}
		j.report = &schema.FunctionReport{Name: fn.Name, Template: fn.Lang, Reference: j.refs[0]}
		jobs = append(jobs, j)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(jobs) == 0 {
		return nil, errors.New("nothing to build: every function has skip_build")
	}
	return jobs, p.prepareOutput(jobs)
}

// share adds a function to the job that makes its image, where there is one: that of the
// first function with the image. Otherwise the job is the owner of its references.
func share(owner map[string]*job, j *job) (shared bool, err error) {
	for _, r := range j.refs {
		first, ok := owner[registry.Full(r)]
		if !ok {
			continue
		}
		if keys := differing(first.fn, j.fn); len(keys) > 0 {
			return false, fmt.Errorf("its image %s is also that of %s, and they differ in %s: give one of them an image of its own", r, first.fn.Name, strings.Join(keys, ", "))
		}
		if !slices.EqualFunc(first.refs, j.refs, registry.Same) {
			return false, fmt.Errorf("its image %s is also that of %s, with other tags", r, first.fn.Name)
		}
		first.also = append(first.also, j.fn)
		return true, nil
	}
	for _, r := range j.refs {
		owner[registry.Full(r)] = j
	}
	return false, nil
}

// differing names the keys that decide an image and that two functions have different
// values of.
func differing(a, b schema.Function) []string {
	var out []string
	for _, k := range []struct {
		name  string
		equal bool
	}{
		{"lang", a.Lang == b.Lang},
		{"handler", filepath.Clean(a.Handler) == filepath.Clean(b.Handler)},
		{"build_options", slices.Equal(a.BuildOptions, b.BuildOptions)},
		{"build_args", maps.Equal(a.BuildArgs, b.BuildArgs)},
		{"build_secrets", maps.Equal(a.BuildSecrets, b.BuildSecrets)},
		{"platforms", slices.Equal(a.Platforms, b.Platforms)},
		{"watchdog", a.Watchdog == b.Watchdog},
		{"fprocess", a.FProcess == b.FProcess},
	} {
		if !k.equal {
			out = append(out, k.name)
		}
	}
	return out
}

// toContainer is the kind of destination of an image that only runs.
const toContainer = "container"

// shared reports whether functions with one image need it only once there: a file, a
// folder and a container are each function's own.
func (d destination) shared() bool {
	return d.kind == "" || d.kind == "push" || d.kind == "load"
}

// made is the function as it is made where it runs on this machine: one with skip_build
// as the function that has its image is.
func (p *pipeline) made(fn schema.Function) schema.Function {
	if p.opts.dest.kind != toContainer {
		return fn
	}
	for _, f := range p.stack.Functions {
		if !fn.SkipBuild {
			break
		}
		if !f.SkipBuild && registry.Same(f.Image, fn.Image) {
			fn.SkipBuild, fn.Lang, fn.Handler, fn.BuildOptions, fn.BuildArgs = false, f.Lang, f.Handler, f.BuildOptions, f.BuildArgs
			fn.BuildSecrets, fn.Platforms, fn.Watchdog = f.BuildSecrets, f.Platforms, f.Watchdog
		}
	}
	if fn.Image == "" { // its variable is not set, and nothing is called that
		fn.Image = fn.Name
	}
	return fn
}

// titled is the function under the name that its image bears: that of the first function
// that has the image, so that each of them makes the same.
func (p *pipeline) titled(fn schema.Function) schema.Function {
	for _, f := range p.stack.Functions {
		if !f.SkipBuild && registry.Same(f.Image, fn.Image) && len(differing(f, fn)) == 0 {
			fn.Name = f.Name
			break
		}
	}
	return fn
}

// functions are the jobs with one more for each function that shares an image, in the
// order of the stack.
func functions(jobs []*job) []*job {
	out := slices.Clone(jobs)
	for _, j := range jobs {
		for _, fn := range j.also {
			r := *j.report
			r.Name, r.Seconds, r.Warnings, r.Sent = fn.Name, nil, nil, 0
			if r.Error == "" && r.Status != "" {
				r.Status, r.Reason = "skipped", "its image is that of "+j.fn.Name
			}
			out = append(out, &job{fn: fn, place: j.place, refs: j.refs, report: &r})
		}
	}
	slices.SortStableFunc(out, func(a, b *job) int { return a.fn.Line - b.fn.Line })
	return out
}
