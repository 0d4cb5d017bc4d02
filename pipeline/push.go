package pipeline

import (
	"context"

	"fnb/schema/words"
)

// Push sends the images of the jobs from the image store to their registries, several at a
// time. There is an outcome for each job, whatever the error is.
func (p *Pipeline) Push(ctx context.Context, jobs []*Job) ([]Outcome, error) {
	return p.eachOutcome(ctx, jobs, max(p.settings.Parallel, 1), p.push)
}

// push sends one function's image under each of its references.
func (p *Pipeline) push(ctx context.Context, j *Job) (Outcome, error) {
	pl, img := &Plan{Job: j}, &image{}
	err := p.pushInto(ctx, pl, img)
	return p.record(ctx, pl, lookup{}, img, err)
}

func (p *Pipeline) pushInto(ctx context.Context, pl *Plan, img *image) error {
	defer img.clock("push")()
	news := false
	for _, ref := range pl.Job.Refs {
		pushed, err := p.Registry.Push(ctx, p.Images, ref.Text)
		if err != nil {
			return While("pushing "+ref.Text, err)
		}
		img.digest = pushed.Digest
		img.tags = append(img.tags, ref.Text)
		img.sent += pushed.Sent
		news = news || !pushed.Unchanged
		if pushed.Refused != nil {
			img.note("", "the registry does not take what is attached to the image: "+pushed.Refused.Error())
		}
	}
	doing := "pushing " + pl.Job.Refs[len(pl.Job.Refs)-1].Text
	desc, err := p.Images.Resolve(pl.Job.Refs[0].Text)
	if err != nil {
		return While(doing, err)
	}
	pl.Digest = desc.Annotations[words.LabelInput]
	if err := p.pushInputTag(ctx, pl, img); err != nil {
		return While(doing, err)
	}
	if img.status = "pushed"; !news {
		img.status, img.reason = "skipped", Note{Text: "the registry has it"}
	}
	img.platforms, err = p.Images.Reports(ctx, desc)
	return While(doing, err)
}

// pushInputTag gives an image that was sent the tag of its inputs, as tagInputs
// does where the builder has sent it. It has none where its
// inputs do not decide it.
func (p *Pipeline) pushInputTag(ctx context.Context, pl *Plan, img *image) error {
	if pl.Digest == "" || p.settings.NoInputTag {
		return nil
	}
	ref := pl.Job.Refs[0]
	if _, err := p.Registry.Push(ctx, p.Images, ref.Text, inputRef(ref, pl.Digest).Text); err != nil && ctx.Err() == nil {
		img.untagged(err)
	}
	return ctx.Err()
}
