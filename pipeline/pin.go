package pipeline

import (
	"context"
	"errors"
	"slices"

	"fnb/pipeline/pins"
	"fnb/schema"
)

// Pin puts everything into the lock that it lacks and the functions need: templates, base
// images and watchdogs. There is a plan for each function that is built, whatever the error
// is. The lock's file stays as it is: see [Pipeline.WriteLock].
func (p *Pipeline) Pin(ctx context.Context, fns []schema.Function) ([]*Plan, error) {
	p.allow.Pinning = true
	return p.PinAsIs(ctx, fns)
}

// PinAsIs is Pin for who asks what a build would do: what the lock lacks is to a policy what
// it is to a build.
func (p *Pipeline) PinAsIs(ctx context.Context, fns []schema.Function) ([]*Plan, error) {
	var jobs []*Job
	var plans []*Plan
	for _, fn := range fns {
		if !fn.SkipBuild {
			j := &Job{Function: fn, Place: PlaceOf(p.Stack, fn)}
			jobs, plans = append(jobs, j), append(plans, &Plan{Job: j})
		}
	}
	err := Each(ctx, jobs, 1, func(ctx context.Context, i int, j *Job) (err error) {
		plans[i], err = p.Prepare(ctx, j)
		return err
	})
	return plans, err
}

// Missed says which base images and watchdogs of plans could not be looked up, and why; nil
// where nothing is missing. What is looked up when an image is made is missed there: a stage
// that nothing needs may be of an image that is not there.
func (p *Pipeline) Missed(ctx context.Context, plans []*Plan) error {
	run := &RunError{All: len(plans)}
	for _, pl := range plans {
		if err := p.missedOf(ctx, pl); err != nil {
			run.Failed = append(run.Failed, pl.Job.Failed(While("pinning", err)))
		}
	}
	if len(run.Failed) > 0 {
		return run
	}
	return nil
}

// missedOf is Missed of one plan.
func (p *Pipeline) missedOf(ctx context.Context, pl *Plan) error {
	if pl.context == nil {
		return nil
	}
	var errs []error
	for _, ref := range baseReferences(pl.context) {
		if err := p.Pins.Missed(pins.Base, ref); err != nil {
			errs = append(errs, p.explained(ctx, pl, err))
		}
	}
	if image, err := schema.ParseImageRef(pl.context.Watchdog); err == nil {
		errs = append(errs, p.Pins.Missed(pins.Watchdog, image.Full().String()))
	}
	return errors.Join(errs...)
}

// Forget has everything that functions need be looked up anew: all there is, or only
// theirs. Notes say which stores did not answer: such a one is used as the cache has it, or
// missed where it is needed.
func (p *Pipeline) Forget(ctx context.Context, fns []schema.Function, all bool) (notes []string, err error) {
	p.settings.Pinning.Pull, p.settings.Pinning.Upgrade = true, true
	var langs []string
	for _, fn := range fns {
		langs = append(langs, fn.Lang)
	}
	p.Pins.Forget(langs, all)
	if p.settings.Pinning.Offline {
		return nil, nil
	}
	notes, err = p.Store.UpdateStores(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		notes = append(notes, err.Error())
	}
	return notes, nil
}

// Changes are the entries in which what is pinned now differs from fnb.lock.
func (p *Pipeline) Changes() []pins.Change { return p.Pins.Changes() }

// Told are the notes of plans, each once.
func (p *Pipeline) Told(plans []*Plan) []string {
	var told []string
	for _, pl := range plans {
		for _, n := range pl.Notes {
			if text := p.wording(n); !slices.Contains(told, text) {
				told = append(told, text)
			}
		}
	}
	return told
}
