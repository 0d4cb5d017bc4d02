package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fnb/registry"
	"fnb/schema"
	"fnb/store"
	"fnb/templates"
)

type publishOptions struct {
	store.FunctionPublication
	image     string
	about     string
	platforms []string
	secrets   []string
	dry       bool
	build     buildOptions // insecure registries and tags
}

func newStorePublish(g *globals) *cobra.Command {
	o := &publishOptions{}
	cmd := &cobra.Command{
		Use:   "publish FUNCTION --store NAME",
		Short: "publish a version of a function in a store",
		Long: `Publish records a function whose image is in a registry in a store that was added. It takes the image, how it is run and for which platforms from the stack file; title, description, categories, licence, icon and examples from function.yml, and the README from README.md, both beside the handler.

Before that it asks the registry for the image, which has to be there for every platform that is claimed; runs it in the builder, on each of its platforms that the builder has or emulates; and calls it with the examples, which have to pass. Each check is told, and so is each platform on which it was not run. What it was built from is what the image's labels say, and the source is recorded where others can fetch the commit that is checked out.

Without a stack file, or for an image that is not the stack's, --image names it, and --about the folder with function.yml and README.md.

A version that is there already with the same record is a success; with another one it is an error, and nothing is overwritten. With --pr a branch is pushed for somebody to merge. With --dry-run everything is checked, the record printed, and nothing published.`,
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
	f := cmd.Flags()
	addOutsideFlag(f, &o.build.outside)
	f.StringVar(&o.image, "image", "", "record the image `REF` instead of the stack's")
	f.StringVar(&o.about, "about", "", "read function.yml and README.md in `DIR` instead of the handler's folder")
	f.StringArrayVar(&o.platforms, "platform", nil, "claim `PLATFORM` (repeatable; default the stack's, or all that the image has)")
	f.StringArrayVar(&o.secrets, "secret", nil, "give it a secret while the examples run, `id=NAME,src=FILE` or id=NAME,env=VAR (repeatable)")
	f.StringSliceVar(&o.build.insecure, "insecure-registry", nil, "speak plain HTTP to the registry `HOST` (repeatable)")
	f.BoolVar(&o.dry, "dry-run", false, "check everything and print the record, but do not publish")
	return cmd
}

// A publishing is a function on its way into a store.
type publishing struct {
	*globals
	o        *publishOptions
	store    *store.Store
	registry *registry.Client
	claimed  schema.Platforms
	image    registry.Description
	draft    *store.FunctionDraft
	checks   []publishCheck
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
	if p.draft, err = p.store.DraftFunction(ctx, o.FunctionPublication); err != nil {
		return doing(err)
	}
	p.tell(p.draft.Notes)
	p.passed("record", "%s %s", p.draft.Record.Name, p.draft.Record.Version)
	if err := p.runIt(ctx); err != nil {
		if o.dry {
			err = errors.Join(err, p.printDraft())
		}
		return doing(err)
	}
	try, err := p.store.TryPublish(ctx, p.draft)
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
	out, err := p.store.PublishDraft(ctx, p.draft)
	if err != nil {
		return doing(err)
	}
	if p.json {
		return p.printJSON(map[string]any{"published": out, "checks": p.checks, "record": p.draft.Record})
	}
	return p.printPublished(out)
}

func (p *publishing) printDraft() error {
	if p.json {
		return p.printJSON(map[string]any{"checks": p.checks, "record": p.draft.Record, "notes": p.draft.Notes})
	}
	data, err := p.draft.Record.Marshal()
	if err != nil {
		return err
	}
	return p.writeJSON(data)
}

// read takes what the stack file and the handler's folder say.
func (p *publishing) read(ctx context.Context) error {
	o := p.o
	if err := schema.ValidateFunctionName(o.Own); err != nil {
		return usagef("fnb store publish", "%w", err)
	}
	for _, s := range o.platforms {
		one, err := schema.ParsePlatforms(s)
		if err != nil {
			return usagef("fnb store publish", "--platform %q: %w", s, err)
		}
		p.claimed = append(p.claimed, one...)
	}
	_, err := p.stackFile()
	if err == nil || o.image == "" {
		if err := p.readFunction(ctx); err != nil {
			return err
		}
	} else {
		if p.store, err = p.newStore(); err != nil {
			return err
		}
		if p.registry, err = registry.New(registry.Options{Insecure: o.build.insecure, UserAgent: "fnb/" + fnbVersion()}); err != nil {
			return err
		}
	}
	if o.about != "" {
		o.Dir = o.about
	}
	if o.Dir == "" {
		return nil
	}
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return fmt.Errorf("reading %s: %w", relative(o.Dir), err)
	}
	defer func() { _ = root.Close() }() // it was only read from
	if o.About, err = store.ReadAbout(root.FS()); err != nil {
		return fmt.Errorf("%s: %w", relative(o.Dir), err)
	}
	return nil
}

// readFunction takes what the stack file says; with --image the function need not be
// in it.
func (p *publishing) readFunction(ctx context.Context) error {
	o := p.o
	names := []string{o.Own}
	line, fns, err := p.newPipeline(&o.build, names, schema.DeployKeys())
	if is[*unknownFunctionError](err) && o.image != "" {
		if line, fns, err = p.newPipeline(&o.build, nil, nil); err == nil {
			fns = nil
		}
	}
	if err != nil {
		return err
	}
	p.store, p.registry = line.store, line.registry
	if len(fns) == 0 {
		return nil
	}
	fn := fns[0]
	if o.image == "" {
		refs, err := line.references(ctx, fn)
		if err != nil {
			return err
		}
		o.image = refs[0]
	}
	if len(p.claimed) == 0 {
		p.claimed = fn.Platforms
	}
	if err := line.checkPaths(fn); err != nil {
		return err
	}
	if fn.Handler != "" {
		o.Dir = filepath.Join(filepath.Dir(line.stack.File), filepath.FromSlash(fn.Handler))
	}
	if o.Run, err = runSettings(fn, line.reach); err != nil {
		return err
	}
	o.Built.Template = fn.Lang
	if t, _, _, err := line.store.Resolve(ctx, fn.Lang, line.where(line.pins.lock())); err == nil { // it only helps those who search
		o.Language = t.Manifest.Language
	}
	return nil
}

// runSettings is what a record says of how a function is run.
func runSettings(fn schema.Function, reach schema.Reach) (schema.RecordRun, error) {
	env, err := fn.ReadEnvironment(reach)
	if err != nil {
		return schema.RecordRun{}, err
	}
	run := schema.RecordRun{
		FProcess: fn.FProcess, Environment: env, ReadOnlyRootFilesystem: fn.ReadOnlyRootFilesystem,
		Labels: fn.Labels, Annotations: fn.Annotations, Secrets: fn.Secrets,
		Limits: (*schema.RecordResources)(fn.Limits), Requests: (*schema.RecordResources)(fn.Requests),
	}
	for _, k := range slices.Sorted(maps.Keys(run.Environment)) {
		if templates.LooksSecret(k, run.Environment[k]) {
			return run, hint(fmt.Errorf("the variable %s looks like a secret, and a store is for everybody to read", k),
				"name it under secrets in the stack file, and read it from /var/openfaas/secrets")
		}
	}
	return run, nil
}

// describe asks the registry for the image.
func (p *publishing) describe(ctx context.Context) error {
	var err error
	if p.image, err = p.registry.Describe(ctx, p.o.image); err != nil {
		return err
	}
	var has []string
	image := schema.RecordImage{Ref: p.image.Reference, Digest: p.image.Digest, Platforms: map[string]schema.PlatformImage{}}
	for _, one := range p.image.Platforms {
		image.Platforms[one.Platform] = schema.PlatformImage{Digest: one.Digest, Size: one.Size}
		has = append(has, one.Platform)
	}
	for _, want := range p.claimed {
		if _, ok := image.Platforms[want.String()]; !ok {
			return hint(&registry.PlatformError{Reference: p.image.Reference, Want: want, Have: has},
				"build it for that platform too: fnb build "+p.o.Own+" --push --platform "+strings.Join(append(has, want.String()), ","))
		}
	}
	p.o.Image = image
	p.passed("image", "%s@%s", image.Ref, image.Digest)
	for _, one := range p.image.Platforms {
		p.passed("platform", "%s %s, %.1f MB", one.Platform, one.Digest, float64(one.Size)/1e6)
	}
	p.builtFrom(ctx)
	return nil
}

// builtFrom takes from the image's labels what it was built from.
func (p *publishing) builtFrom(ctx context.Context) {
	title, built := p.image.Labels["fnb.template"], &p.o.Built
	lang, err := schema.ParseTemplateRef(built.Template)
	switch {
	case title == "":
		built.Template = "" // something else has built it
		return
	case err == nil && lang.Kind == schema.RefName && lang.Namespace != "":
		built.Template = lang.Namespace + "/" + title
	case err == nil && lang.Kind == schema.RefGit:
		built.Template = lang.String()
	default:
		built.Template = title
	}
	built.Checksum = p.image.Labels["fnb.template.checksum"]
	p.passed("template", "%s %s", built.Template, built.Checksum)
	commit := p.image.Labels["org.opencontainers.image.revision"]
	if rev, err := store.ReadRevision(ctx, p.o.Dir); err == nil && commit != "" && p.o.Dir != "" && rev.Commit != commit {
		p.tell([]string{fmt.Sprintf("the image was built at commit %.12s, and %.12s is checked out", commit, rev.Commit)})
	}
}
