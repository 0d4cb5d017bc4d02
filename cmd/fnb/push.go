package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"fnb/schema"
)

func newPush(g *globals) *cobra.Command {
	o := &buildOptions{}
	cmd := &cobra.Command{
		Use:   "push [FUNCTION…]",
		Short: "push the images of functions to their registries",
		Long: `Push sends the images that fnb build put into the image store to their registries: of the stack's functions, of those that are named, or of those that match --filter or --regex. Nothing is rebuilt. Blobs that a registry has are not sent again, and what another repository of the registry has is taken over from there. The image also gets the tag of its inputs there, as with fnb build --push.

For each function a line is printed: its name, the reference and the digest.`,
		Example:           "  # all functions of the stack file\n  fnb push\n\n  # one function, under the tag it was built with\n  fnb push hello --tag sha",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.runPush(cmd.Context(), o, args)
		},
	}
	f := cmd.Flags()
	addOutsideFlag(f, &o.outside)
	o.choice.addFlags(f, "push")
	f.IntVar(&o.parallel, "parallel", 4, "push `N` functions at a time")
	f.StringArrayVar(&o.tags, "tag", nil, "push the tag that `RULE` gives, as in fnb build (repeatable)")
	f.StringVar(&o.reportFile, "report", "", "write the build report to `FILE`")
	f.BoolVar(&o.noInputTag, "no-input-tag", false, "do not tag the image with its input digest too")
	f.StringSliceVar(&o.insecure, "insecure-registry", nil, "speak plain HTTP to the registry `HOST` (repeatable)")
	return cmd
}

func (g *globals) runPush(ctx context.Context, o *buildOptions, names []string) error {
	start := time.Now()
	if o.parallel < 1 {
		return usagef("fnb push", "--parallel %d: it has to be at least 1", o.parallel)
	}
	if g.offline {
		return usagef("fnb push", "--offline uses no network, and a push needs it")
	}
	p, fns, err := g.newPipeline(o, names, []string{"image", "skip_build"})
	if err != nil {
		return err
	}
	if p.images, err = openImages(); err != nil {
		return err
	}
	jobs, err := p.jobs(ctx, fns)
	if err != nil {
		return err
	}
	err = each(ctx, jobs, o.parallel, p.push)
	return errors.Join(err, g.finish(jobs, o.reportFile, time.Since(start)))
}

// push sends one function's image under each of its references.
func (p *pipeline) push(ctx context.Context, j *job) error {
	defer j.clock("push")()
	news := false
	for _, ref := range j.refs {
		j.doing = "pushing " + ref
		pushed, err := p.registry.Push(ctx, p.images, ref)
		if err != nil {
			return err
		}
		j.report.Digest = pushed.Digest
		j.report.Tags = append(j.report.Tags, ref)
		j.report.Sent += pushed.Sent
		news = news || !pushed.Unchanged
	}
	desc, err := p.images.Resolve(j.refs[0])
	if err != nil {
		return err
	}
	if err := p.pushInputTag(ctx, j, desc.Annotations[schema.InputLabel]); err != nil {
		return err
	}
	if j.report.Status = "pushed"; !news {
		j.report.Status, j.report.Reason = "skipped", "the registry has it"
	}
	j.report.Platforms, err = p.platforms(ctx, desc)
	return err
}

// pushInputTag gives an image that was sent the tag of its inputs, as tagInputs
// does where the builder has sent it. It has none where its
// inputs do not decide it.
func (p *pipeline) pushInputTag(ctx context.Context, j *job, input string) error {
	if j.report.InputDigest = input; input == "" || p.opts.noInputTag {
		return nil
	}
	if _, err := p.registry.Push(ctx, p.images, j.refs[0], inputRef(j.refs[0], input)); err != nil && ctx.Err() == nil {
		j.untagged(err)
	}
	return ctx.Err()
}
