package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"fnb/schema"
)

// A Job is one image that is to be made.
type Job struct {
	Function schema.Function
	Place    Place
	Refs     []Reference       // the references of the image
	Also     []schema.Function // further functions that have the same image
}

// Jobs makes a job of each image that is to be built. Functions that share one, as
// OpenFaaS's stacks have it for one handler with several environments, are one job. A
// reference that is none, or that functions with different inputs share, is an error
// before anything is built.
func (p *Pipeline) Jobs(ctx context.Context, fns []schema.Function) ([]*Job, error) {
	var jobs []*Job
	var errs []error
	owner := map[schema.ImageRef]*Job{}
	for _, fn := range fns {
		fn = p.made(fn)
		if fn.SkipBuild {
			continue
		}
		j := &Job{Function: fn, Place: PlaceOf(p.Stack, fn)}
		var err error
		if j.Refs, err = p.References(ctx, fn); err == nil && p.settings.Destination.shared() {
			var shared bool
			if shared, err = share(owner, j); shared {
				continue
			}
		}
		if err != nil {
			errs = append(errs, &FunctionError{Name: fn.Name, Place: j.Place, Err: err})
			continue
		}
		jobs = append(jobs, j)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(jobs) == 0 {
		return nil, errors.New("nothing to build: every function has skip_build")
	}
	return jobs, p.checkOutput(jobs)
}

// share adds a function to the job that makes its image, where there is one: that of the
// first function with the image. Otherwise the job is the owner of its references.
func share(owner map[schema.ImageRef]*Job, j *Job) (shared bool, err error) {
	for _, r := range j.Refs {
		first, ok := owner[r.Says]
		if !ok {
			continue
		}
		if keys := differing(first.Function, j.Function); len(keys) > 0 {
			return false, fmt.Errorf("its image %s is also that of %s, and they differ in %s: give one of them an image of its own", r.Text, first.Function.Name, strings.Join(keys, ", "))
		}
		if !slices.EqualFunc(first.Refs, j.Refs, func(a, b Reference) bool { return a.Says == b.Says }) {
			return false, fmt.Errorf("its image %s is also that of %s, with other tags", r.Text, first.Function.Name)
		}
		first.Also = append(first.Also, j.Function)
		return true, nil
	}
	for _, r := range j.Refs {
		owner[r.Says] = j
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

// made is the function as it is made where it runs on this machine: one with skip_build
// as the function that has its image is.
func (p *Pipeline) made(fn schema.Function) schema.Function {
	if p.settings.Destination.Kind != ToContainer {
		return fn
	}
	for _, f := range p.Stack.Functions {
		if !fn.SkipBuild {
			break
		}
		if !f.SkipBuild && f.SameImage(fn) {
			fn.SkipBuild, fn.Lang, fn.Handler, fn.BuildOptions, fn.BuildArgs = false, f.Lang, f.Handler, f.BuildOptions, f.BuildArgs
			fn.BuildSecrets, fn.Platforms, fn.Watchdog = f.BuildSecrets, f.Platforms, f.Watchdog
		}
	}
	if fn.Image == "" { // its variable is not set, and nothing is called that
		fn.Image = fn.Name
	}
	return fn
}

// Titled is the function under the name that its image bears: that of the first function
// that has the image, so that each of them makes the same.
func (p *Pipeline) Titled(fn schema.Function) schema.Function {
	for _, f := range p.Stack.Functions {
		if !f.SkipBuild && f.SameImage(fn) && len(differing(f, fn)) == 0 {
			fn.Name = f.Name
			break
		}
	}
	return fn
}
