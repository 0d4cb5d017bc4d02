package main

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/builder"
	"fnb/packaging"
	"fnb/registry"
	"fnb/schema"
)

// reuse looks for an image of equal inputs where the image is to go, and gives
// it the references that are wanted. It reports whether there is one: then
// nothing is left to be done.
func (p *pipeline) reuse(ctx context.Context, j *job, pl *plan) (bool, error) {
	if reason := p.mustSolve(j, pl); reason != "" {
		j.report.Reason = reason
		return false, nil
	}
	defer j.clock("check")()
	if p.opts.push {
		return p.reusePushed(ctx, j, pl)
	}
	return p.reuseKept(ctx, j, pl.digest)
}

// mustSolve says why an image of equal inputs would not do; "" where it would.
func (p *pipeline) mustSolve(j *job, pl *plan) string {
	switch {
	case p.opts.noCache:
		return "--no-cache"
	case !p.opts.push && p.images == nil:
		return "the image goes to a file or an engine"
	case pl.unpinned != "":
		return "nothing pins " + pl.unpinned
	case p.opts.test && !p.records.tested(j.refs[0], pl):
		return "--test runs the tests"
	}
	return ""
}

// reuseKept looks into the image store.
func (p *pipeline) reuseKept(ctx context.Context, j *job, input string) (bool, error) {
	release, err := p.images.Hold(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	found, err := p.images.Find(ctx, input)
	if err != nil || len(found) == 0 {
		return false, err
	}
	desc := found[0].Descriptor
	j.was = desc.Annotations
	reason := "the image store has it"
	for _, ref := range j.refs {
		if have, err := p.images.Resolve(ref); err == nil && have.Digest == desc.Digest {
			continue
		}
		if err := p.images.Put(ctx, ref, v1.Descriptor{MediaType: desc.MediaType, Size: desc.Size, Digest: desc.Digest, Annotations: map[string]string{schema.InputLabel: input}}); err != nil {
			return false, err
		}
		reason = "the image store has it under " + found[0].Reference
	}
	if j.report.Platforms, err = p.platforms(ctx, desc); err != nil {
		return false, err
	}
	j.skip(desc.Digest.String(), reason, p.opts.exports)
	return true, nil
}

// reusePushed asks the registry: for the references that are wanted, and then for
// the tag of the inputs.
func (p *pipeline) reusePushed(ctx context.Context, j *job, pl *plan) (bool, error) {
	input := pl.digest
	have := map[string]v1.Hash{}
	var found *registry.Known
	for i, ref := range j.refs {
		known, err := p.ask(ctx, j, ref)
		if err != nil {
			return false, err
		}
		if known == nil {
			continue
		}
		have[ref] = known.Descriptor.Digest
		if i == 0 {
			j.was = known.Annotations
		}
		if found == nil && known.Input() == input {
			found = known
		}
	}
	if tag := inputRef(j.refs[0], input); found == nil && !p.isSilent(tag) {
		known, err := p.ask(ctx, j, tag)
		if err != nil {
			return false, err
		}
		if known != nil && known.Input() == input {
			found = known
		}
	}
	if found == nil {
		return false, nil
	}
	reason := "the registry has it"
	for _, ref := range j.refs {
		if have[ref] == found.Descriptor.Digest {
			continue
		}
		if err := p.registry.Tag(ctx, found, ref); err != nil {
			return false, err
		}
		reason = "the registry has it under " + found.Reference
	}
	j.report.Platforms = platformsKnown(found, pl)
	j.skip(found.Descriptor.Digest.String(), reason, p.opts.exports)
	return true, nil
}

// skip notes that nothing was built.
func (j *job) skip(digest, reason string, exports []builder.Cache) {
	j.report.Status, j.report.Reason = "skipped", reason
	j.report.Digest, j.report.Reference, j.report.Tags = digest, j.refs[0], j.refs
	if len(exports) > 0 {
		j.report.Warnings = append(j.report.Warnings, "nothing was built, so --cache-to wrote nothing; build all the same with: --no-cache")
	}
}

// An answer is a registry's to a reference.
type answer struct {
	known *registry.Known
	err   error
}

// askAhead asks the registry for the first reference while the inputs are still being
// looked at.
func (p *pipeline) askAhead(ctx context.Context, j *job) {
	if !p.opts.push || p.opts.noCache || p.opts.contextOnly != "" || p.isSilent(j.refs[0]) {
		return
	}
	j.ahead = make(chan answer, 1)
	go func() {
		known, err := p.registry.Ask(ctx, j.refs[0])
		j.ahead <- answer{known, err}
	}()
}

// answer waits for what a registry says to a reference.
func (p *pipeline) answer(ctx context.Context, j *job, ref string) (*registry.Known, error) {
	if ref != j.refs[0] || j.ahead == nil {
		return p.registry.Ask(ctx, ref)
	}
	a := <-j.ahead
	j.ahead = nil
	return a.known, a.err
}

// ask returns what a registry has under a reference, nil where it has nothing. A
// registry that does not answer is a warning, and not asked again. One that
// refuses credentials may only have no such repository yet; the push will tell.
func (p *pipeline) ask(ctx context.Context, j *job, ref string) (*registry.Known, error) {
	if p.isSilent(ref) {
		return nil, nil
	}
	known, err := p.answer(ctx, j, ref)
	if err == nil {
		return known, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if auth, ok := errors.AsType[*registry.AuthError](err); ok {
		if auth.Anonymous {
			return nil, err
		}
		return nil, nil
	}
	if is[*registry.NotFoundError](err) {
		return nil, nil
	}
	if is[*registry.NoRegistryError](err) {
		return nil, fmt.Errorf("asking whether it has %s: %w", ref, err)
	}
	if host := registry.Host(ref); p.firstSilence(host) {
		j.report.Warnings = append(j.report.Warnings, fmt.Sprintf("%s does not say whether it has the image, so it is built: %v", host, err))
	}
	return nil, nil
}

func (p *pipeline) isSilent(ref string) bool {
	_, silent := p.silent.Load(registry.Host(ref))
	return silent
}

// firstSilence notes that a registry does not answer, and reports whether that is
// news.
func (p *pipeline) firstSilence(host string) bool {
	_, known := p.silent.LoadOrStore(host, true)
	return !known
}

// inputRef is the reference of an input digest, in the repository of ref.
func inputRef(ref, input string) string {
	repo, _, err := splitReference(ref)
	if err != nil {
		return ref
	}
	return repo + ":" + packaging.InputTag(input)
}

// platformsKnown are the images that a registry has under one reference.
func platformsKnown(known *registry.Known, pl *plan) []schema.PlatformReport {
	if len(known.Platforms) == 1 && known.Platforms[0].Platform == "" {
		known.Platforms[0].Platform = pl.req.Platforms[0].String()
	}
	return known.Platforms
}

// tagInputs takes from what the builder has pushed what the report says, and gives
// it the tag of its inputs, so that whoever wants the same finds it. That it cannot
// be tagged is a warning.
func (p *pipeline) tagInputs(ctx context.Context, j *job, pl *plan, img *builder.Result) error {
	if p.isSilent(j.refs[0]) {
		return nil
	}
	wanted := !p.opts.noInputTag && pl.unpinned == ""
	known, err := p.pushed(ctx, j.refs[0], img)
	if err == nil && known.Descriptor.Digest.String() == j.report.Digest {
		p.registry.Measure(ctx, known)
		j.report.Platforms = platformsKnown(known, pl)
		if wanted {
			err = p.registry.Tag(ctx, known, inputRef(j.refs[0], pl.digest))
		}
	}
	if err != nil && wanted && ctx.Err() == nil {
		j.untagged(err)
	}
	return ctx.Err()
}

// pushed returns what the builder has pushed; a builder that does not say it has the
// registry asked.
func (p *pipeline) pushed(ctx context.Context, ref string, img *builder.Result) (*registry.Known, error) {
	desc, err := descriptor(img)
	if err != nil || img.Manifest == nil {
		return p.registry.Ask(ctx, ref)
	}
	return p.registry.Know(ref, desc, img.Manifest)
}

// untagged notes that an image did not get the tag of its inputs.
func (j *job) untagged(err error) {
	j.report.Warnings = append(j.report.Warnings, fmt.Sprintf("the tag of the inputs was not written: %v", err))
}
