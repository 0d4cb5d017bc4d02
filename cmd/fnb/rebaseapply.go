package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"fnb/internal/plain"
	"fnb/rebase"
	"fnb/schema/rebaseplan"
)

// A rebaseError says that not all of a plan was done.
type rebaseError struct{ failed, left int }

func (e *rebaseError) Error() string {
	s := plain.Count(e.failed, "image", "images") + " failed"
	if e.left > 0 {
		s += ", and " + plain.Count(e.left, "image was", "images were") + " not begun"
	}
	return s
}

// A rebased image is one line of what was done.
type rebased struct {
	Image   string           `json:"image"`
	Digest  string           `json:"digest,omitempty"`
	State   rebaseplan.State `json:"state"`
	Before  bool             `json:"before,omitempty"` // by an earlier run
	Problem string           `json:"error,omitempty"`
}

// openPlan reads a plan, and what was done of it.
func (g *globals) openPlan(file string, o *rebaseOptions) (*rebase.Applier, func(error) error, error) {
	plan, err := rebaseplan.Read(file, fnbVersion())
	if is[*rebaseplan.BadError](err) {
		err = hint(err, "make a plan again: fnb rebase --base REF --plan "+plain.ShellWord(file))
	} else if errors.Is(err, fs.ErrNotExist) {
		err = hint(err, "make a plan: fnb rebase --base REF --plan "+plain.ShellWord(file))
	}
	if err != nil {
		return nil, nil, err
	}
	c, err := newRegistry(o.images.insecure)
	if err != nil {
		return nil, nil, err
	}
	cfg, err := g.config()
	if err != nil {
		return nil, nil, err
	}
	j, err := rebaseplan.OpenJournal(file, plan)
	if is[*rebaseplan.BadError](err) {
		err = hint(err, "write each plan to a file of its own, with: --plan FILE")
	}
	if err != nil {
		return nil, nil, err
	}
	a := &rebase.Applier{Registry: c, Plan: plan, Journal: j, Places: placesOf(cfg), Parallel: o.parallel, TagSuffix: o.carry.suffix, MaxFailures: o.carry.maxFailures}
	return a, func(err error) error { return errors.Join(err, j.Close()) }, nil
}

func (g *globals) runRebaseApply(ctx context.Context, o *rebaseOptions) error {
	a, done, err := g.openPlan(o.apply, o)
	if err != nil {
		return err
	}
	if err := g.mayRebase(ctx, a.Registry, a.Plan); err != nil { // a plan may have waited for long
		return done(err)
	}
	if len(a.Plan.Watchdog) > 0 {
		if a.Watchdogs, err = rebase.OwnWatchdogs(); err != nil {
			return done(err)
		}
	}
	signed, err := g.rebaseEvidence(ctx, a, &o.carry)
	if err != nil {
		return done(err)
	}
	defer signed()
	if o.carry.smoke != smokeNone && a.Plan.Counts[rebaseplan.Rebase] > 0 {
		smoke, end, err := g.smokeTest(ctx, a.Registry)
		if err != nil {
			return done(hint(err, "do without a test: fnb rebase --apply "+plain.ShellWord(o.apply)+" --smoke none"))
		}
		defer end()
		a.Smoke, a.All, a.Rebuild = smoke, o.carry.smoke == smokeAll, g.rebuild(o.images.insecure)
	}
	if known := func(i rebaseplan.Image) bool { return i.Inputs != "" }; a.Rebuild == nil && slices.ContainsFunc(a.Plan.Images, known) {
		g.tellMore([]string{"--smoke none: no image is held against a build, so none gets an input digest; their digests are not those of the plan, and the next build makes them again"})
	}
	var out []rebased
	a.Each = func(r rebase.Outcome) { out = append(out, g.tellRebased(r)) }
	sum, err := a.Apply(ctx)
	if err == nil && sum.Failed == 0 && o.carry.suffix == "" {
		err = g.movePins(a.Plan, before, after)
	}
	return done(errors.Join(err, g.printRebased(out, sum, "--apply", o.apply)))
}

func (g *globals) runRebaseUndo(ctx context.Context, o *rebaseOptions) error {
	a, done, err := g.openPlan(o.undo, o)
	if err != nil {
		return err
	}
	var out []rebased
	a.Each = func(r rebase.Outcome) { out = append(out, g.tellRebased(r)) }
	sum, err := a.Undo(ctx)
	if err == nil && sum.Failed == 0 && sum.Done > 0 {
		err = g.movePins(a.Plan, after, before)
	}
	return done(errors.Join(err, g.printRebased(out, sum, "--undo", o.undo)))
}

// tellRebased says at once what became of an image.
func (g *globals) tellRebased(r rebase.Outcome) rebased {
	one := rebased{Image: r.Image.Name(), Digest: r.Becomes, State: r.State, Before: r.Before}
	for _, note := range r.Notes {
		g.tellMore([]string{plain.Line(one.Image) + ": " + plain.Line(note)})
	}
	if r.Err != nil {
		one.Problem = plain.Line(r.Err.Error())
		g.tell([]string{plain.Line(one.Image) + ": " + one.Problem})
	} else if !g.json && !r.Before {
		fmt.Fprintln(g.out, plain.Line(one.Image), one.Digest)
	}
	return one
}

func (g *globals) printRebased(out []rebased, sum rebase.Summary, what, file string) error {
	if g.json {
		if out == nil {
			out = []rebased{}
		}
		if err := g.printIndented(out); err != nil {
			return err
		}
	}
	note := plain.Count(sum.Done, "image", "images") + " done"
	if sum.Before > 0 {
		note += fmt.Sprintf(", %d before", sum.Before)
	}
	if sum.Sent+sum.Mounted > 0 {
		note += fmt.Sprintf("; %s of layers taken over, %s sent", plain.Size(sum.Mounted), plain.Size(sum.Sent))
	}
	g.tellMore([]string{note})
	if sum.Failed == 0 {
		return nil
	}
	return hint(&rebaseError{sum.Failed, sum.Left}, "what is done is done; once the rest can be, go on with: fnb rebase "+what+" "+plain.ShellWord(file))
}
