package pipeline

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/packaging"
	"fnb/registry"
	"fnb/schema"
	"fnb/schema/words"
)

// A lookup is what was found of what there is already.
type lookup struct {
	findings
	image   *image            // of equal inputs; nil where there is none
	earlier map[string]string // annotations of the image that has the first reference; nil where none is known
}

// reuse looks for an image of equal inputs where the image is to go, and gives
// it the references that are wanted.
func (p *Pipeline) reuse(ctx context.Context, pl *Plan, ahead <-chan answer) (there lookup, err error) {
	if pl.reason != (Note{}) {
		return there, nil
	}
	defer there.clock("check")()
	if p.pushes() {
		err = p.reusePushed(ctx, &there, pl, ahead)
	} else {
		err = p.reuseKept(ctx, &there, pl)
	}
	return there, While(pl.doing(), err)
}

// mustSolve says why an image of equal inputs would not do; nothing where it would.
func (p *Pipeline) mustSolve(pl *Plan) Note {
	switch {
	case p.settings.NoCache:
		return Note{ReasonNoCache, "no image was to be reused"}
	case !p.pushes() && p.Images == nil:
		return Note{Text: "the image goes to a file or an engine"}
	case pl.unpinned != "":
		return Note{Text: "nothing pins " + pl.unpinned}
	case pl.req.Test != "" && !p.history.Tested(pl.Job.Refs[0].Text, pl.Digest, pl.req.Test):
		return Note{ReasonTest, "its tests are run"}
	}
	return Note{}
}

// reuseKept looks into the image store.
func (p *Pipeline) reuseKept(ctx context.Context, there *lookup, pl *Plan) error {
	release, err := p.Images.Hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	found, err := p.Images.Made(ctx, pl.Digest)
	if err != nil || len(found) == 0 {
		return err
	}
	desc := found[0].Descriptor
	there.earlier = desc.Annotations
	reason := "the image store has it"
	for _, ref := range pl.Job.Refs {
		if have, err := p.Images.Resolve(ref.Text); err == nil && have.Digest == desc.Digest {
			continue
		}
		if err := p.Images.Put(ctx, ref.Text, v1.Descriptor{MediaType: desc.MediaType, Size: desc.Size, Digest: desc.Digest, Annotations: map[string]string{words.LabelInput: pl.Digest}}); err != nil {
			return err
		}
		reason = "the image store has it under " + found[0].Reference
	}
	there.image = p.skipped(pl, desc.Digest, reason)
	there.image.platforms, err = p.Images.Reports(ctx, desc)
	return err
}

// reusePushed asks the registry: for the references that are wanted, and then for
// the tag of the inputs.
func (p *Pipeline) reusePushed(ctx context.Context, there *lookup, pl *Plan, ahead <-chan answer) error {
	refs, input := pl.Job.Refs, pl.Digest
	have := map[schema.ImageRef]v1.Hash{}
	var found *registry.Known
	for i, ref := range refs {
		known, err := p.ask(ctx, there, ref, ahead)
		if err != nil {
			return err
		}
		ahead = nil // which was for the first
		if known == nil {
			continue
		}
		have[ref.Says] = known.Descriptor.Digest
		if i == 0 {
			there.earlier = known.Annotations
		}
		if found == nil && known.Input() == input {
			found = known
		}
	}
	if tag := inputRef(refs[0], input); found == nil && !p.isSilent(tag) {
		known, err := p.ask(ctx, there, tag, nil)
		if err != nil {
			return err
		}
		if known != nil && known.Input() == input {
			found = known
		}
	}
	if found == nil {
		return nil
	}
	reason := "the registry has it"
	for _, ref := range refs {
		if have[ref.Says] == found.Descriptor.Digest {
			continue
		}
		if err := p.Registry.Tag(ctx, found, ref.Text); err != nil {
			return err
		}
		reason = "the registry has it under " + found.Reference
	}
	there.image = p.skipped(pl, found.Descriptor.Digest, reason)
	there.image.desc = v1.Descriptor{MediaType: found.Descriptor.MediaType, Digest: found.Descriptor.Digest, Size: found.Descriptor.Size}
	there.image.platforms = platformsKnown(found, pl)
	return p.sign(ctx, pl, there.image)
}

// skipped is an image that was there.
func (p *Pipeline) skipped(pl *Plan, digest v1.Hash, reason string) *image {
	img := &image{status: "skipped", reason: Note{Text: reason}, digest: digest.String(), reference: pl.Job.Refs[0].Text, tags: textsOf(pl.Job.Refs)}
	if len(p.settings.Cache.Exports) > 0 {
		img.note(NoteUnexported, "nothing was built, so no build cache was written")
	}
	return img
}

// An answer is a registry's to a reference.
type answer struct {
	known *registry.Known
	err   error
}

// askAhead asks the registry for the first reference while the inputs are still being
// looked at.
func (p *Pipeline) askAhead(ctx context.Context, j *Job) <-chan answer {
	if !p.pushes() || p.settings.NoCache || p.isSilent(j.Refs[0]) {
		return nil
	}
	ahead := make(chan answer, 1)
	go func() {
		known, err := p.Registry.Ask(ctx, j.Refs[0].Text)
		ahead <- answer{known, err}
	}()
	return ahead
}

// ask returns what a registry has under a reference, nil where it has nothing. A
// registry that does not answer is a warning, and not asked again. One that
// refuses credentials may only have no such repository yet; the push will tell.
// Ahead, where it is not nil, has the answer.
func (p *Pipeline) ask(ctx context.Context, there *lookup, ref Reference, ahead <-chan answer) (*registry.Known, error) {
	if p.isSilent(ref) {
		return nil, nil
	}
	var a answer
	if ahead != nil {
		a = <-ahead
	} else {
		a.known, a.err = p.Registry.Ask(ctx, ref.Text)
	}
	if a.err == nil {
		return a.known, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if auth, ok := errors.AsType[*registry.AuthError](a.err); ok {
		if auth.Anonymous {
			return nil, a.err
		}
		return nil, nil
	}
	if is[*registry.NotFoundError](a.err) {
		return nil, nil
	}
	if is[*registry.NoRegistryError](a.err) {
		return nil, fmt.Errorf("asking whether it has %s: %w", ref.Text, a.err)
	}
	if host := ref.Says.Registry; p.firstSilence(host) {
		there.note("", fmt.Sprintf("%s does not say whether it has the image, so it is built: %v", host, a.err))
	}
	return nil, nil
}

func (p *Pipeline) isSilent(ref Reference) bool {
	_, silent := p.remotes.silent.Load(ref.Says.Registry)
	return silent
}

// firstSilence notes that a registry does not answer, and reports whether that is
// news.
func (p *Pipeline) firstSilence(host string) bool {
	_, known := p.remotes.silent.LoadOrStore(host, true)
	return !known
}

// inputRef is the reference of an input digest, in the repository of ref.
func inputRef(ref Reference, input string) Reference {
	return ref.WithTag(packaging.InputTag(input))
}

// platformsKnown are the images that a registry has under one reference.
func platformsKnown(known *registry.Known, pl *Plan) []schema.PlatformReport {
	if len(known.Platforms) == 1 && known.Platforms[0].Platform == "" {
		known.Platforms[0].Platform = pl.req.Platforms[0].String()
	}
	return known.Platforms
}

// tagInputs takes from what the builder has pushed what the report says, and gives
// it the tag of its inputs, so that whoever wants the same finds it. That it cannot
// be tagged is a warning. known, if not nil, is what was pushed.
func (p *Pipeline) tagInputs(ctx context.Context, img *image, pl *Plan, made solvedImage, known *registry.Known) (err error) {
	ref := pl.Job.Refs[0]
	if p.isSilent(ref) {
		return nil
	}
	wanted := !p.settings.NoInputTag && pl.unpinned == ""
	if known == nil {
		known, err = p.pushed(ctx, ref, made)
	}
	if err == nil && known.Descriptor.Digest.String() == img.digest {
		p.Registry.Measure(ctx, known)
		img.platforms = platformsKnown(known, pl)
		if wanted {
			err = p.Registry.Tag(ctx, known, inputRef(ref, pl.Digest).Text)
		}
	}
	if err != nil && wanted && ctx.Err() == nil {
		img.untagged(err)
	}
	return ctx.Err()
}

// pushed returns what the builder has pushed; a builder that does not say it has the
// registry asked.
func (p *Pipeline) pushed(ctx context.Context, ref Reference, made solvedImage) (*registry.Known, error) {
	raw := made.Manifest
	if made.Index != nil {
		raw = made.Index
	}
	at := ref.Says.Pinned(made.Digest).String()
	desc, err := descriptor(made.Result)
	if err != nil || raw == nil {
		return p.Registry.Ask(ctx, at)
	}
	return p.Registry.Know(at, desc, raw)
}

// untagged notes that an image did not get the tag of its inputs.
func (img *image) untagged(err error) {
	img.note("", fmt.Sprintf("the tag of the inputs was not written: %v", err))
}
