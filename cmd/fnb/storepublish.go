package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"fnb/store/publish"
)

type publishOptions struct {
	publish.FunctionPublication
	image     string
	about     string
	platforms []string
	secrets   []string
	signedBy  []string
	dry       bool
	key       string
	inputs    inputFlags // insecure registries, and paths outside
}

func newStorePublish(g *globals) *cobra.Command {
	o := &publishOptions{}
	cmd := &cobra.Command{
		Use:   "publish FUNCTION --store NAME",
		Short: "publish a version of a function in a store",
		Long: `Publish records a function whose image is in a registry in a store that was added. It takes the image, how it is run and for which platforms from the stack file. Title, description, categories, licence, icon and examples come from function.yml, and the README from README.md, both beside the handler.

Before that it asks the registry for the image, which must be there for every platform that is claimed. It runs the image in the builder, on each of its platforms that the builder has or emulates, and calls it with the examples, which must pass. Each check is told, and so is each platform on which it was not run. The record also says what is attached to the image: how many packages its SBOM has, whether it has a provenance, and who has signed it. What it was built from is what the image's labels say, and the source is recorded where others can fetch the commit that is checked out.

Without a stack file, or for an image that is not the stack's, --image names it, and --about the folder with function.yml and README.md.

A version that is there already with the same record is a success; with another one it is an error, and nothing is overwritten. With --pr a branch is pushed for somebody to merge. With --dry-run everything is checked, the record printed, and nothing published.

If the namespace has keys ("fnb store owners"), the record is signed with --key.`,
		Example:           "  # see what would be published\n  fnb store publish shorten --store acme --version 1.0.0 --dry-run\n\n  # publish it as acme/shorten\n  fnb store publish shorten --store acme --version 1.0.0\n\n  # an image that something else has built\n  fnb store publish shorten --store acme --version 1.0.0 --image ghcr.io/acme/shorten:1.0.0 --about .",
		Args:              exactly(1),
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Own = args[0]
			return g.publishFunction(cmd.Context(), o)
		},
	}
	g.addPublishFlags(cmd, publishFlags{
		what: "function", of: "the function", manifest: "function.yml",
		store: &o.Store, name: &o.Name, version: &o.Version, source: &o.Source, fnb: &o.FNB, tags: &o.Tags, propose: &o.Propose,
	})
	addRecordKeyFlag(cmd, &o.key)
	f := cmd.Flags()
	addOutsideFlag(f, &o.inputs.outside)
	f.StringVar(&o.image, "image", "", "record the image `REF` instead of the stack's")
	f.StringVar(&o.about, "about", "", "read function.yml and README.md in `DIR` instead of the handler's folder")
	f.StringArrayVar(&o.platforms, "platform", nil, "claim `PLATFORM` (repeatable; default the stack's, or all that the image has)")
	f.StringArrayVar(&o.secrets, "secret", nil, "give it a secret while the examples run, `id=NAME,src=FILE` or id=NAME,env=VAR (repeatable)")
	f.StringArrayVar(&o.signedBy, "signed-by", nil, "the image must be signed by `KEY`, as fnb verify takes it, and the record says so (repeatable; default --key, if it has)")
	addInsecureFlag(f, &o.inputs.insecure)
	f.BoolVar(&o.dry, "dry-run", false, "check everything and print the record, but do not publish")
	return cmd
}

func (g *globals) publishFunction(ctx context.Context, o *publishOptions) error {
	p := &publishing{globals: g, o: o}
	doing := func(err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("publishing %s: %w", o.Own, err)
	}
	if err := p.read(ctx); err != nil {
		return doing(err)
	}
	if err := p.describe(ctx); err != nil {
		return doing(err)
	}
	var err error
	if p.draft, err = publish.Draft(ctx, p.store, o.FunctionPublication); err != nil {
		return doing(err)
	}
	p.tell(p.draft.Notes)
	if *p.draft.Signing, err = p.signing(o.key); err != nil {
		return err
	}
	p.passed("record", "%s %s", p.draft.Record.Name, p.draft.Record.Version)
	if err := p.runIt(ctx); err != nil {
		if o.dry {
			err = errors.Join(err, p.printDraft())
		}
		return doing(err)
	}
	try, err := p.draft.Try(ctx)
	if err != nil {
		return doing(err)
	}
	if try.Already {
		p.passed("store", "%s has this version already, with the same record", try.Store)
	} else {
		p.passed("store", "%s does not have this version yet", try.Store)
	}
	if o.dry {
		return p.printDraft()
	}
	out, err := p.draft.Publish(ctx)
	if err != nil {
		return doing(err)
	}
	if p.json {
		return p.printJSON(map[string]any{"published": out, "checks": p.checks, "record": p.draft.Record})
	}
	return p.printPublished(out)
}
