package main

import (
	"context"
	"slices"

	"fnb/builder"
	"fnb/schema"
)

// pin puts everything of a function into the lock that it lacks: its template, its
// base images and its watchdog.
func (p *pipeline) pin(ctx context.Context, j *job) error {
	tmpl, err := p.resolve(ctx, j)
	if err != nil {
		return err
	}
	bc, err := p.pack(ctx, j, tmpl)
	if err != nil {
		return err
	}
	j.doing = "pinning"
	j.template = tmpl
	req := builder.Request{Name: j.fn.Name, Pull: p.opts.pull, Credentials: p.registry.Credentials, Registries: p.mirrors, Progress: p.progress}
	if req.Platforms, err = p.platformsOf(ctx, j.fn); err != nil {
		return err
	}
	if req.Bases, _, err = p.pinBases(ctx, req, bc); err != nil {
		return err
	}
	_, err = p.pinWatchdog(ctx, j, &req, bc.Watchdog)
	return err
}

// pinJobs are jobs for pinning.
func pinJobs(fns []schema.Function) []*job {
	var jobs []*job
	for _, fn := range fns {
		if !fn.SkipBuild {
			jobs = append(jobs, &job{fn: fn, report: &schema.FunctionReport{Name: fn.Name, Template: fn.Lang}})
		}
	}
	return jobs
}

// pinAll pins everything that the jobs need, and tells what was noted.
func (g *globals) pinAll(ctx context.Context, p *pipeline, jobs []*job) error {
	err := each(ctx, jobs, 1, p.pin)
	var told []string
	for _, j := range jobs {
		for _, w := range j.report.Warnings {
			if !slices.Contains(told, w) {
				told = append(told, w)
			}
		}
	}
	if !g.quiet {
		g.tell(told)
	}
	return err
}
