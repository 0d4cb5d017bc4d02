package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"fnb/builder"
	"fnb/pipeline/pins"
	"fnb/policy"
	"fnb/schema"
)

// mayRead asks the policy about the images of a plan and its watchdog, before anybody looks
// them up.
func (p *Pipeline) mayRead(pl *Plan) error {
	if p.Policy == nil || p.settings.CompareOnly {
		return nil
	}
	notes, err := p.Policy.Watchdog(pl.context.Watchdog)
	errs := []error{err}
	for _, name := range imagesOf(pl.context) {
		ref, err := schema.ParseImageRef(name)
		if strings.Contains(name, "$") || err != nil {
			continue // the builder knows it, and asks
		}
		full := ref.Exact().String()
		more, err := p.Policy.Image(policy.KindBase, policy.Image{
			Reference: full, Locked: ref.Digest != "" || p.pinning || p.Pins.File().Bases[full] != "",
		})
		notes, errs = append(notes, more...), append(errs, err)
	}
	pl.Notes = append(pl.Notes, notesOf(notes)...)
	return errors.Join(errs...)
}

// mayRun asks the policy about images that are run, by their full references.
func (p *Pipeline) mayRun(refs []string) error {
	var errs []error
	for _, ref := range refs {
		notes, err := p.Policy.Image(policy.KindImage, policy.Image{Reference: ref, Locked: p.pinning || p.Pins.File().Services[ref] != ""})
		p.cooling.add(notes)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// gate has a builder ask the policy about what it reads for images of a kind.
func (p *Pipeline) gate(kind policy.Kind) *builder.Gate {
	if !p.Policy.Gates(kind) {
		return nil
	}
	return &builder.Gate{
		Check:   func(source string) error { return p.Policy.Source(kind, source) },
		Unasked: p.Policy.Unasked,
	}
}

// Access is what builders may have and read for images that are run.
func (p *Pipeline) Access() builder.Access { return p.access(policy.KindImage) }

func (p *Pipeline) access(kind policy.Kind) builder.Access {
	return builder.Access{Credentials: p.Registry.Credentials, Registries: p.Mirrors, Gate: p.gate(kind)}
}

// cooled takes from images that were looked up those that are too young, if the lock has an
// earlier one to stay with; else they are an error.
func (p *Pipeline) cooled(kind policy.Kind, locked, found map[string]string, made map[string]time.Time) error {
	var errs []error
	for ref, digest := range found {
		if digest == locked[ref] {
			continue
		}
		notes, err := p.Policy.ImageAge(kind, ref, made[ref])
		if err != nil && locked[ref] != "" {
			found[ref] = locked[ref]
			notes, err = append(notes, fmt.Sprintf("%s stays at %s: %v", ref, pins.ShortDigest(locked[ref]), err)), nil
		}
		errs = append(errs, err)
		p.cooling.add(notes)
	}
	return errors.Join(errs...)
}

// digests has the builder look images up, which asks registries as its solves do, and the
// policy whether they are old enough.
func (p *Pipeline) digests(ctx context.Context, req builder.Request, kind policy.Kind, refs []string, locked map[string]string) (found map[string]string, missed map[string]error, err error) {
	b, err := p.Builder.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	made := map[string]time.Time{}
	if p.Policy.Dates(kind) {
		req.Gate = &builder.Gate{Dated: func(ref string, at time.Time) { made[ref] = at }}
	}
	found, missed, err = b.Digests(ctx, req, refs)
	if err == nil {
		err = p.cooled(kind, locked, found, made)
	}
	return found, missed, err
}
