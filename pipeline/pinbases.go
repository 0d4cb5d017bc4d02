package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"fnb/builder"
	"fnb/packaging"
	"fnb/pipeline/pins"
	"fnb/policy"
	"fnb/schema"
)

// pinBases returns the digests by which the solve has to take its base images.
// What the lock has is kept; what it lacks is looked up once a run and added. With
// --pull all of them are looked up. With --frozen and --offline a missing one is an error.
// Unpinned says what has no digest, if anything.
func (p *Pipeline) pinBases(ctx context.Context, req builder.Request, bc *packaging.Context) (digests map[string]string, unpinned string, err error) {
	refs := baseReferences(bc)
	if p.settings.CompareOnly {
		digests = map[string]string{}
		for _, ref := range refs {
			digests[ref] = p.Pins.Base(ref)
		}
		return digests, "", nil
	}
	defer p.Pins.Looking()()
	var missing []string
	for _, ref := range refs {
		if (p.Pins.Base(ref) == "" || p.settings.Pinning.Pull) && !p.Pins.WasAsked(pins.Base, ref) {
			missing = append(missing, ref)
		}
	}
	if (p.settings.Pinning.Frozen || p.settings.Pinning.Offline) && len(missing) > 0 {
		return nil, "", &pins.NotLockedError{What: "base images", Refs: missing, Offline: !p.settings.Pinning.Frozen}
	}
	if len(missing) > 0 {
		found, missed, err := p.digests(ctx, req, policy.KindBase, missing, p.Pins.File().Bases)
		if err != nil {
			return nil, "", fmt.Errorf("looking up base images: %w", err)
		}
		p.Pins.SetBases(found, missed)
	}
	floating := bc.Dockerfile.Unpinned()
	out := map[string]string{}
	for _, ref := range refs {
		if digest := p.Pins.Base(ref); digest != "" {
			out[ref] = digest
		} else {
			floating = append(floating, ref)
		}
	}
	return out, strings.Join(floating, ", "), p.allow.Signed(ctx, policy.KindBase, out)
}

// PinServices holds the images of services against the lock, by their full references, and adds
// what it lacks, as it is done with base images. They are no input of any image.
func (p *Pipeline) PinServices(ctx context.Context, refs []string) error {
	defer p.Pins.Looking()()
	if err := p.allow.Run(refs); err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(refs), func(ref string) bool {
		return p.Pins.Service(ref) != "" && !p.settings.Pinning.Pull || p.Pins.WasAsked(pins.Service, ref)
	})
	if len(missing) == 0 {
		return p.allow.SignedServices(ctx, refs)
	}
	if p.settings.Pinning.Frozen || p.settings.Pinning.Offline {
		return &pins.NotLockedError{What: "images of services", Refs: missing, Offline: !p.settings.Pinning.Frozen}
	}
	found, missed, err := p.digests(ctx, builder.Request{
		Recipe: builder.Recipe{Pull: p.settings.Pinning.Pull}, Progress: p.Progress, Access: p.Access(),
	}, policy.KindImage, missing, p.Pins.File().Services)
	if err != nil {
		return fmt.Errorf("looking up the images of services: %w", err)
	}
	p.Pins.SetServices(found, missed)
	return p.allow.SignedServices(ctx, refs)
}

// imagesOf are the images that a solve reads from, as the Dockerfile has them, and that
// of a frontend.
func imagesOf(bc *packaging.Context) []string {
	images := bc.Dockerfile.Summary().Bases
	if frontend := builder.Frontend(bc.Dockerfile.Data, bc.BuildArgs); frontend != "" {
		images = append(images, frontend)
	}
	return images
}

// baseReferences are the images that a solve reads from, and that of a frontend that
// is not BuildKit's own, without those that are named by digest, and those that only
// the builder knows: full, sorted, each once.
func baseReferences(bc *packaging.Context) []string {
	var refs []string
	for _, w := range imagesOf(bc) {
		if strings.ContainsAny(w, "$@") {
			continue
		}
		if ref, err := schema.ParseImageRef(w); err == nil { // the solve says what is wrong with it
			refs = append(refs, ref.Exact().String())
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}
