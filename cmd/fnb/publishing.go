package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fnb/gitrepo"
	"fnb/pipeline"
	"fnb/registry"
	"fnb/schema"
	"fnb/schema/words"
	"fnb/store"
	"fnb/store/publish"
	"fnb/templates"
)

// A publishing is a function on its way into a store.
type publishing struct {
	*globals
	o        *publishOptions
	store    *store.Finder
	registry *registry.Client
	claimed  schema.Platforms
	image    registry.Description
	draft    *publish.FunctionDraft
	checks   []publishCheck
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
		if p.registry, err = newRegistry(o.inputs.insecure); err != nil {
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
	s, err := o.inputs.settings("fnb store publish")
	if err != nil {
		return err
	}
	line, fns, err := p.newPipeline(wanted{settings: s, insecure: o.inputs.insecure, names: names, keys: schema.DeployKeys()})
	if is[*pipeline.UnknownFunctionError](err) && o.image != "" {
		if line, fns, err = p.newPipeline(wanted{settings: s, insecure: o.inputs.insecure}); err == nil {
			fns = nil
		}
	}
	if err != nil {
		return err
	}
	p.store, p.registry = line.Store, line.Registry
	if len(fns) == 0 {
		return nil
	}
	fn := fns[0]
	if o.image == "" {
		refs, err := line.References(ctx, fn)
		if err != nil {
			return err
		}
		o.image = refs[0].Text
	}
	if len(p.claimed) == 0 {
		p.claimed = fn.Platforms
	}
	if err := line.CheckPaths(fn); err != nil {
		return err
	}
	if fn.Handler != "" {
		o.Dir = filepath.Join(filepath.Dir(line.Stack.File), filepath.FromSlash(fn.Handler))
	}
	if o.Run, err = runSettings(fn, line.Reach); err != nil {
		return err
	}
	o.Built.Template = fn.Lang
	if t, _, _, err := line.Store.Resolve(ctx, fn.Lang, line.Scope(line.Pins.Now())); err == nil { // it only helps those who search
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
	rules, err := p.rules.read()
	if err == nil {
		err = mayRun(ctx, rules, p.registry, p.image.Pinned)
	}
	if err != nil {
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
	return p.evidence(ctx)
}

// builtFrom takes from the image's labels what it was built from.
func (p *publishing) builtFrom(ctx context.Context) {
	title, built := p.image.Labels[words.LabelTemplate], &p.o.Built
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
	built.Checksum = p.image.Labels[words.LabelTemplateChecksum]
	p.passed("template", "%s %s", built.Template, built.Checksum)
	commit := p.image.Labels[words.LabelRevision]
	if rev, err := gitrepo.ReadRevision(ctx, p.o.Dir); err == nil && commit != "" && p.o.Dir != "" && rev.Commit != commit {
		p.tell([]string{fmt.Sprintf("the image was built at commit %.12s, and %.12s is checked out", commit, rev.Commit)})
	}
}
