package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"fnb/internal/plain"
	"fnb/policy"
	"fnb/rebase"
	"fnb/registry"
	"fnb/schema"
	"fnb/schema/rebaseplan"
	"fnb/schema/settings"
)

// placesOf are the references by which an image is looked for: at the mirrors that the settings
// have for its registry, and there.
func placesOf(cfg settings.Settings) func(schema.ImageRef) []string {
	return func(ref schema.ImageRef) (places []string) {
		for _, mirror := range cfg.Builder.Registries[ref.Registry].Mirrors {
			at := ref
			host, path, _ := strings.Cut(strings.TrimSuffix(mirror, "/"), "/")
			if at.Registry = host; path != "" {
				at.Repository = path + "/" + ref.Repository
			}
			places = append(places, at.String())
		}
		return append(places, ref.String())
	}
}

func (g *globals) runRebasePlan(ctx context.Context, o *rebaseOptions, args []string) error {
	c, err := newRegistry(o.images.insecure)
	if err != nil {
		return err
	}
	cfg, err := g.config()
	if err != nil {
		return err
	}
	subjects, err := g.subjects(ctx, "fnb rebase", c, &o.images, args)
	if err != nil {
		return err
	}
	p := &rebase.Planner{Registry: c, Bases: o.bases, Places: placesOf(cfg), Version: fnbVersion(), Parallel: o.parallel, Layers: g.knownLayers()}
	if o.watchdog != "" {
		if p.Watchdogs, err = rebase.OwnWatchdogs(); err != nil {
			return err
		}
	}
	plan, err := p.Plan(ctx, subjects)
	if is[*registry.NotFoundError](err) {
		err = hint(err, "name it as a Dockerfile does, such as: --base python:3.13-slim-bookworm")
	}
	if err != nil {
		return err
	}
	if err := g.mayRebase(ctx, c, plan); err != nil {
		return err
	}
	if err := plan.Write(o.plan); err != nil {
		return err
	}
	return g.printPlan(o.plan, plan)
}

// mayRebase asks the policy about the new base images.
func (g *globals) mayRebase(ctx context.Context, c *registry.Client, plan *rebaseplan.Plan) error {
	rules, err := g.rules.read()
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range plan.Bases {
		errs = append(errs, mayUse(ctx, rules, c, policy.KindBase, b.Reference+"@"+b.Digest))
	}
	return errors.Join(errs...)
}

// printPlan prints what a plan says, and what to type next.
func (g *globals) printPlan(file string, plan *rebaseplan.Plan) error {
	if g.json {
		return g.printIndented(plan)
	}
	for _, b := range plan.Bases {
		g.tellMore([]string{fmt.Sprintf("%s is %s now", plain.Line(b.Reference), b.Digest)})
		for _, c := range b.Changes {
			g.tellMore([]string{"  " + plain.Line(c)})
		}
	}
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "ACTION\tIMAGE\tBECOMES\tWHY")
	for i := range plan.Images {
		e := &plan.Images[i]
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", e.Action, plain.Line(e.Name()), cmp.Or(shortDigest(e.Becomes), "-"), plain.Line(e.Why))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	g.tellMore([]string{fmt.Sprintf("%s can be rebased, %d must be built, %d stay", plain.Count(plan.Counts[rebaseplan.Rebase], "image", "images"), plan.Counts[rebaseplan.Rebuild], plan.Counts[rebaseplan.Nothing])})
	if plan.Counts[rebaseplan.Rebase] > 0 {
		g.tellMore([]string{"read " + plain.ShellWord(file) + ", then: fnb rebase --apply " + plain.ShellWord(file)})
	}
	return nil
}

// shortDigest is a digest as a table has it.
func shortDigest(digest string) string {
	return digest[:min(len(digest), len("sha256:")+12)]
}
