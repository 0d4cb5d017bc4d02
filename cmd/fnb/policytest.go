package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/pipeline/locks"
	"fnb/pipeline/services"
	"fnb/policy"
	"fnb/registry"
	"fnb/schema"
	"fnb/schema/rules"
)

func newPolicyTest(g *globals) *cobra.Command {
	o := &inputFlags{}
	cmd := &cobra.Command{
		Use:   "test [FUNCTION…]",
		Short: "say what the policy would refuse",
		Long: `Test asks the policy about everything that the functions of the stack file use, or those that are named. It changes nothing. It asks about templates, base images, images of services, watchdogs, the builder, package managers, and the functions' own images if they are pushed. It prints a line for each rule that is broken: whether it refuses or warns, the file and line of the rule, and why. The exit code is 8 if something would be refused.

What fnb.lock lacks is looked up. What only a solve shows, such as a URL that a Dockerfile adds, is not seen here: the builder asks while it builds.`,
		Example:           "  # before \"mode: warn\" becomes \"mode: enforce\"\n  fnb policy test",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := o.settings(cmd.CommandPath())
			if err != nil {
				return err
			}
			g.rules.trial = true
			return g.runPolicyTest(cmd.Context(), wanted{settings: s, insecure: o.insecure, names: args, keys: lockKeys()})
		},
	}
	f := cmd.Flags()
	addOutsideFlag(f, &o.outside)
	addInsecureFlag(f, &o.insecure)
	return cmd
}

func (g *globals) runPolicyTest(ctx context.Context, want wanted) error {
	p, fns, err := g.newPipeline(want)
	if err != nil {
		return err
	}
	defer p.Close()
	if p.Policy == nil {
		return hint(fmt.Errorf("there is no policy: neither this project nor this machine has a %s", rules.FileName),
			"begin with one that warns: printf 'mode: warn\\nbases: {digest: locked}\\n' > "+rules.FileName)
	}
	plans, err := p.PinAsIs(ctx, fns)
	if err == nil {
		err = services.Pin(ctx, p.Pipeline, fns)
	}
	if err != nil {
		return err
	}
	if err := p.Missed(ctx, plans); err != nil {
		return err
	}
	if err := errors.Join(locks.Ask(p.Policy, plans), g.askDeployed(ctx, p, fns)); err != nil {
		return err
	}
	return g.printRefusals(p.Policy)
}

// askDeployed asks the policy about the images of functions that their registries have, as whoever deploys them does.
func (g *globals) askDeployed(ctx context.Context, p *shownPipeline, fns []schema.Function) error {
	c := p.asked()
	if c == nil || !p.Policy.Deploys() {
		return nil
	}
	for _, fn := range fns {
		image, err := schema.ParseImageRef(fn.Image)
		if err != nil {
			return err
		}
		image = image.Full()
		desc, err := c.Head(ctx, image.String())
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case is[*registry.NotFoundError](err): // it is not pushed yet
			continue
		case err != nil:
			g.tellMore([]string{fn.Name + ": its image is not looked at: " + plain.Short(err.Error())})
			continue
		}
		image.Digest = desc.Digest.String()
		if err := mayRun(ctx, p.Policy, c, image.String()); err != nil {
			return err
		}
	}
	return nil
}

// A refusedError is what the policy would refuse.
type refusedError struct{ count int }

func (e *refusedError) Error() string {
	if e.count == 1 {
		return "the policy refuses one thing"
	}
	return fmt.Sprintf("the policy refuses %d things", e.count)
}

// printRefusals prints what breaks rules, a line each.
func (g *globals) printRefusals(p *policy.Policy) error {
	all := p.Found()
	refused := 0
	for _, r := range all {
		if r.Mode == rules.Enforce {
			refused++
		}
	}
	if g.json {
		if all == nil {
			all = []*policy.Refusal{}
		}
		if err := g.printJSON(all); err != nil {
			return err
		}
	} else {
		w := tabwriter.NewWriter(g.out, 0, 0, 2, ' ', 0)
		for _, r := range all {
			verb := "warns"
			if r.Mode == rules.Enforce {
				verb = "refuses"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", verb, column(fmt.Sprintf("%s:%d %s", r.File, r.Line, r.Rule)), column(string(r.Kind)+" "+r.Name), column(r.Why))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if refused > 0 {
		return &refusedError{refused}
	}
	return nil
}
