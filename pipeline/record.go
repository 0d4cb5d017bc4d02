package pipeline

import (
	"context"
	"slices"
	"time"

	"fnb/builder/display"
	"fnb/schema"
)

// An Outcome is what became of a job's function.
type Outcome struct {
	Job    *Job
	Report schema.FunctionReport
	Why    []string // which inputs changed, in words, with Settings.Explain
	Unread []string // build args of the settings that its Dockerfile does not declare
}

// record makes the report of a function from what the steps have found, with err as far
// as it came, and keeps what its image was made of.
func (p *Pipeline) record(ctx context.Context, pl *Plan, there lookup, img *image, err error) (Outcome, error) {
	o := Outcome{Job: pl.Job, Report: pl.Job.report()}
	if pl.context != nil {
		o.Unread = pl.context.Unread
		o.Report.Runtime = runtimeReport(pl.context.Runtime)
	}
	all := pl.findings
	all.and(there.findings)
	if img != nil {
		all.and(img.findings)
		p.fill(&o.Report, img)
	}
	if err == nil && pl.inputs != nil {
		if p.settings.Explain {
			o.Report.Changes, o.Why = p.explain(pl, there.earlier)
		}
		all.Notes = append(all.Notes, p.remember(pl, img)...)
	}
	rep := &o.Report
	rep.InputDigest, rep.Seconds = pl.Digest, all.seconds
	if pl.Template != nil {
		rep.Pin = &pl.Pin
	}
	if rep.Reason == "" {
		rep.Reason = p.wording(pl.reason)
	}
	for _, n := range all.Notes {
		rep.Warnings = append(rep.Warnings, p.wording(n))
	}
	if err != nil && ctx.Err() == nil {
		rep.Status, rep.Error = "failed", oneLine(err)
	}
	return o, err
}

// wording is what a note is for whoever reads the report.
func (p *Pipeline) wording(n Note) string {
	if p.settings.Wording == nil {
		return n.Text
	}
	return p.settings.Wording(n)
}

// report is that of a job before anything is known.
func (j *Job) report() schema.FunctionReport {
	r := schema.FunctionReport{Name: j.Function.Name, Template: j.Function.Lang}
	if len(j.Refs) > 0 {
		r.Reference = j.Refs[0].Text
	}
	return r
}

// fill puts into a report what is known of an image.
func (p *Pipeline) fill(r *schema.FunctionReport, img *image) {
	if img.reference != "" {
		r.Reference = img.reference
	}
	r.Status, r.Reason, r.Digest, r.Tags, r.Platforms = img.status, p.wording(img.reason), img.digest, img.tags, img.platforms
	r.Cached, r.Context, r.Sent, r.Builders = img.cached, img.context, img.sent, img.builders
}

// show shows what became of a function.
func (o *Outcome) show(p *display.Progress, took time.Duration) {
	if r := &o.Report; p != nil && r.Status != "" {
		p.Result(r.Name, display.Outcome{Status: r.Status, Reason: r.Reason, Digest: r.Digest, Error: r.Error, Took: took})
	}
}

// note adds what was noted after a function was done.
func (o *Outcome) note(text string) { o.Report.Warnings = append(o.Report.Warnings, text) }

// Functions are the outcomes with one more for each function that shares an image, in the
// order of the stack.
func Functions(made []Outcome) []Outcome {
	out := slices.Clone(made)
	for _, o := range made {
		for _, fn := range o.Job.Also {
			r := o.Report
			r.Name, r.Seconds, r.Warnings, r.Sent = fn.Name, nil, nil, 0
			if r.Error == "" && r.Status != "" {
				r.Status, r.Reason = "skipped", "its image is that of "+o.Job.Function.Name
			}
			out = append(out, Outcome{Job: &Job{Function: fn, Place: o.Job.Place, Refs: o.Job.Refs}, Report: r})
		}
	}
	slices.SortStableFunc(out, func(a, b Outcome) int { return a.Job.Function.Line - b.Job.Function.Line })
	return out
}
