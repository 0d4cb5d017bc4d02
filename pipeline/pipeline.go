// Package pipeline turns the functions of a stack into images. [Pipeline.Build] is the
// sentence: it resolves a function's template, packages template and handler into a build
// context, has BuildKit solve it into an image with the watchdog layered in, pushes or keeps
// that with what is said of it, unless there is one of equal inputs already, and records what came out.
//
// [New] makes a pipeline from [Settings]; [Pipeline.Jobs] and [Pipeline.Run] take it through
// many functions. What else needs to know how an image comes to be begins with
// [Pipeline.Prepare]: pinning, comparing with a git revision, testing, rebuilding.
package pipeline

import "context"

// Build is the sentence: resolve the function's template, package template and handler
// into a build context, solve it into an image with the watchdog layered in and push or
// keep that with what is said of it, unless there is one of equal inputs, and record what came out.
func (p *Pipeline) Build(ctx context.Context, j *Job) (Outcome, error) {
	ahead := p.askAhead(ctx, j)
	pl, err := p.Prepare(ctx, j)
	if err != nil {
		return p.record(ctx, pl, lookup{}, nil, err)
	}
	there, err := p.reuse(ctx, pl, ahead)
	img := there.image
	if img == nil && err == nil {
		img, err = p.solve(ctx, pl, there)
	}
	return p.record(ctx, pl, there, img, err)
}

// Prepare brings a function as far as can be without making anything: its template
// resolved, packaged with the handler, and all planned that decides what comes of it. With
// an error the plan has what was found until then.
func (p *Pipeline) Prepare(ctx context.Context, j *Job) (*Plan, error) {
	tmpl, err := p.resolve(ctx, j.Function)
	if err != nil {
		return &Plan{Job: j, assembled: assembled{resolved: tmpl}}, err
	}
	return p.prepareWith(ctx, j, tmpl)
}

// prepareWith is Prepare with a template that is known.
func (p *Pipeline) prepareWith(ctx context.Context, j *Job, tmpl resolved) (*Plan, error) {
	bc, err := p.assemble(ctx, j.Function, tmpl)
	if err != nil {
		return &Plan{Job: j, assembled: bc}, err
	}
	return p.plan(ctx, j, bc)
}
