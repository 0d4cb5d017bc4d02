package pipeline

import (
	"context"
	"slices"
	"time"

	"fnb/pipeline/attest"
	"fnb/pipeline/inventory"
	"fnb/pipeline/provenance"
	"fnb/registry"
	"fnb/sbom/locks"
	"fnb/schema"
	"fnb/trust/evidence"
)

// tagsLast reports whether images are pushed by digest, and named once what is said of them is there.
func (p *Pipeline) tagsLast() bool { return p.pushes() && p.attester.Any() }

// finishPush does what is left to do with an image that the builder has pushed: what is said of it is attached, and then its
// references name it, and the tag of its inputs.
func (p *Pipeline) finishPush(ctx context.Context, img *image, pl *Plan, made solvedImage) error {
	img.status = "pushed"
	for _, pl := range made.Platforms {
		img.platforms = append(img.platforms, schema.PlatformReport{Platform: pl.String()})
	}
	ref := pl.Job.Refs[0]
	if !p.attester.Any() {
		return p.tagInputs(ctx, img, pl, made, nil)
	}
	known, err := p.pushed(ctx, ref, made)
	if err != nil {
		return While("pushing "+ref.Text, err)
	}
	if err := p.attest(ctx, img, pl, made, known); err != nil {
		return err
	}
	if p.tagsLast() {
		for _, r := range pl.Job.Refs {
			if err := p.Registry.Tag(ctx, known, r.Text); err != nil {
				return While("pushing "+r.Text, err)
			}
		}
	}
	return p.tagInputs(ctx, img, pl, made, known)
}

// attest attaches to an image that was pushed what is said of it.
func (p *Pipeline) attest(ctx context.Context, img *image, pl *Plan, made solvedImage, known *registry.Known) error {
	defer img.clock("attest")()
	notes, err := p.attester.Attach(ctx, p.said(img, pl, made, known.Manifest()))
	img.Notes = append(img.Notes, notesOf(notes)...)
	if err == nil && p.Signer != nil {
		p.history.Sign(pl.Job.Refs[0].Says.Name(), img.digest, p.Signer.KeyID())
	}
	return While("attaching to "+pl.Job.Refs[0].Text, err)
}

// finishKept attaches to an image in the image store what is said of it, so that it is there when the image is pushed.
func (p *Pipeline) finishKept(ctx context.Context, img *image, pl *Plan, made solvedImage) error {
	if p.Images == nil || !p.attester.Wants.Any() {
		return nil
	}
	defer img.clock("attest")()
	desc, err := descriptor(made.Result)
	if err != nil {
		return err
	}
	raw, err := p.Images.Manifest(desc)
	if err != nil {
		return err
	}
	notes, err := p.attester.Keep(ctx, p.Images, p.said(img, pl, made, raw))
	img.Notes = append(img.Notes, notesOf(notes)...)
	return While("attaching to "+pl.Job.Refs[0].Text, err)
}

// said is all that is known of an image that a builder has made.
func (p *Pipeline) said(img *image, pl *Plan, made solvedImage, manifest []byte) attest.Image {
	out := attest.Image{
		Reference: pl.Job.Refs[0].Text, Manifest: manifest, Blob: made.Blob,
		Making: provenance.Making{
			Function: pl.Job.Function.Name, Reference: pl.Job.Function.Lang, Template: pl.Pin, Target: pl.req.Target,
			Platforms: pl.req.Platforms, Bases: pl.req.Bases, Inputs: pl.inputs, Tested: pl.req.Test,
			Version: p.Version, Builders: made.Builders, Began: made.began, Ended: made.ended, Seconds: img.seconds, Labels: pl.req.Config.Labels,
		},
	}
	if desc, err := descriptor(made.Result); err == nil { // it was read before
		out.Descriptor = desc
	}
	if p.attester.Wants.SBOM {
		out.About = p.aboutImage(pl)
	}
	return out
}

// sign signs what the registry has already, if that is wanted. What this machine has signed there before is
// not asked for again.
func (p *Pipeline) sign(ctx context.Context, pl *Plan, img *image) error {
	s, ref := p.Signer, pl.Job.Refs[0]
	if s == nil || p.history.Signed(ref.Says.Name(), img.digest, s.KeyID()) {
		return nil
	}
	defer img.clock("sign")()
	if _, err := evidence.Sign(ctx, p.Registry, ref.Text, img.desc, s); err != nil {
		return While("signing "+ref.Text, err)
	}
	p.history.Sign(ref.Says.Name(), img.digest, s.KeyID())
	return nil
}

// Inventory has the image of a job in the image store, made where it is not there, and says what it
// is made of: once for each platform.
func (p *Pipeline) Inventory(ctx context.Context, j *Job) ([]inventory.List, error) {
	if _, err := p.Build(ctx, j); err != nil {
		return nil, err
	}
	pl, err := p.Prepare(ctx, j)
	if err != nil {
		return nil, err
	}
	doing := "looking into " + j.Refs[0].Text
	release, err := p.Images.Hold(ctx)
	if err != nil {
		return nil, While(doing, err)
	}
	defer release()
	desc, err := p.Images.Resolve(j.Refs[0].Text)
	if err != nil {
		return nil, While(doing, err)
	}
	about := p.aboutImage(pl)
	about.Layers = p.attester.Layers
	out, err := inventory.OfStored(ctx, p.Images, j.Refs[0].Text, desc, about)
	return out, While(doing, err)
}

// aboutImage is what a plan says of what is in its image.
func (p *Pipeline) aboutImage(pl *Plan) inventory.About {
	folders := []string{pl.Template.Manifest.HandlerFolder, "function", "packages", "."}
	slices.Sort(folders)
	list := locks.Read(pl.context.FS, slices.Compact(folders)...)
	list.Compiled(pl.context.FS, "entry")
	return inventory.About{
		Repository: pl.Job.Refs[0].Says.Name(), Created: time.Unix(p.created(), 0), Commit: pl.Pin.Commit,
		Locks: list,
	}
}
