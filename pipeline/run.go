package pipeline

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// lookahead is how many functions are compared with what there is while others
// are solved. It bounds memory, since each holds its list of files.
const lookahead = 16

// Run builds the jobs, or with [ToContexts] writes their build contexts. One that fails
// does not stop the others, but a builder that cannot be reached does. There is an outcome
// for each job, whatever the error is.
func (p *Pipeline) Run(ctx context.Context, jobs []*Job) ([]Outcome, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p.Builder.Lost = stop
	do := p.Build
	if p.settings.Destination.Kind == ToContexts {
		do = p.writeContext
	}
	made, err := p.eachOutcome(ctx, jobs, max(p.settings.Parallel, 1)+lookahead, do)
	if serr := p.stats.Save(); serr != nil {
		made[0].note("the cache of file checksums was not written: " + serr.Error())
	}
	if berr := p.Builder.Err(); berr != nil {
		return made, berr
	}
	return made, err
}

// eachOutcome is [Each] with an outcome for each job, also for those that were not begun.
func (p *Pipeline) eachOutcome(ctx context.Context, jobs []*Job, limit int, do func(context.Context, *Job) (Outcome, error)) ([]Outcome, error) {
	made := make([]Outcome, len(jobs))
	for i, j := range jobs {
		made[i] = Outcome{Job: j, Report: j.report()}
	}
	err := Each(ctx, jobs, limit, func(ctx context.Context, i int, j *Job) (err error) {
		began := time.Now()
		made[i], err = do(ctx, j)
		made[i].show(p.Progress, time.Since(began))
		return err
	})
	return made, err
}

// Each runs do for the jobs, at most limit at a time. One that fails does not
// stop the others; all failures come back together, in the jobs' order, as a [*RunError].
// When ctx ends, its error comes back alone.
func Each(ctx context.Context, jobs []*Job, limit int, do func(ctx context.Context, i int, j *Job) error) error {
	errs := make([]error, len(jobs))
	var eg errgroup.Group
	eg.SetLimit(limit)
	for i, j := range jobs {
		eg.Go(func() error {
			if ctx.Err() == nil {
				errs[i] = do(ctx, i, j)
			}
			return nil
		})
	}
	_ = eg.Wait() // the errors are in errs
	if ctx.Err() != nil {
		return ctx.Err()
	}
	run := &RunError{All: len(jobs)}
	for i, j := range jobs {
		run.All += len(j.Also)
		if errs[i] == nil {
			continue
		}
		f := j.Failed(errs[i])
		for _, fn := range j.Also {
			f.Also = append(f.Also, fn.Name)
		}
		run.Failed = append(run.Failed, f)
	}
	if len(run.Failed) > 0 {
		return run
	}
	return nil
}

// UnreadArgs are the build args of the settings that no Dockerfile of the functions
// declares.
func UnreadArgs(made []Outcome) []string {
	unread := made[0].Unread
	for _, o := range made[1:] {
		unread = slices.DeleteFunc(slices.Clone(unread), func(name string) bool { return !slices.Contains(o.Unread, name) })
	}
	return unread
}
