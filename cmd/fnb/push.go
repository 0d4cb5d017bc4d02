package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
)

func newPush(g *globals) *cobra.Command {
	o := &buildOptions{}
	cmd := &cobra.Command{
		Use:   "push [FUNCTION…]",
		Short: "push the images of functions to their registries",
		Long: `Push sends the images that fnb build put into the image store to their registries. They are those of the stack's functions, of the named ones, or of those that match --filter or --regex. Nothing is rebuilt. Blobs that a registry has are not sent again, and what another repository of the registry has is taken over from there. The image also gets the tag of its inputs there, as with fnb build --push. What is attached to it, such as its SBOM, is brought along, before a tag names the image.

For each function a line is printed: its name, the reference and the digest.`,
		Example:           "  # all functions of the stack file\n  fnb push\n\n  # one function, under the tag it was built with\n  fnb push hello --tag sha",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.parallel < 1 {
				return usagef("fnb push", "--parallel %d: it must be at least 1", o.parallel)
			}
			s, err := o.inputs.settings(cmd.CommandPath())
			if err != nil {
				return err
			}
			s.Parallel, s.Tags, s.NoInputTag = o.parallel, o.tags.tags, o.tags.noInputTag
			return g.runPush(cmd.Context(), wanted{settings: s, insecure: o.inputs.insecure, choice: o.choice, names: args, keys: []string{"image", "skip_build"}}, o.reportFile)
		},
	}
	f := cmd.Flags()
	addOutsideFlag(f, &o.inputs.outside)
	o.choice.addFlags(f, "push")
	f.IntVar(&o.parallel, "parallel", 4, "push `N` functions at a time")
	f.StringArrayVar(&o.tags.tags, "tag", nil, "push the tag that `RULE` gives, as in fnb build (repeatable)")
	f.StringVar(&o.reportFile, "report", "", "write the build report to `FILE`")
	f.BoolVar(&o.tags.noInputTag, "no-input-tag", false, "do not tag the image with its input digest too")
	addInsecureFlag(f, &o.inputs.insecure)
	return cmd
}

func (g *globals) runPush(ctx context.Context, want wanted, reportFile string) error {
	start := time.Now()
	if g.offline {
		return usagef("fnb push", "--offline uses no network, and a push needs it")
	}
	p, fns, err := g.newPipeline(want)
	if err != nil {
		return err
	}
	if p.Images, err = openImages(p.Stack.File); err != nil {
		return err
	}
	jobs, err := p.jobs(ctx, fns)
	if err != nil {
		return err
	}
	made, err := p.Push(ctx, jobs)
	return errors.Join(err, g.finish(made, reportFile, time.Since(start)))
}
