package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"fnb/builder"
	"fnb/packaging"
)

// A notLockedError names what the lock does not have, where that may not be looked up.
type notLockedError struct {
	what    string // "base images" or "watchdogs"
	refs    []string
	offline bool // not because the lock is frozen
}

func (e *notLockedError) Error() string {
	s := "fnb.lock does not have the " + e.what + " " + strings.Join(e.refs, ", ")
	if e.offline {
		s += ", and the network may not be used"
	}
	return s
}

// pinBases returns the digests by which the solve has to take its base images.
// What the lock has is kept; what it lacks is looked up once a run and added. With
// --pull all of them are looked up. With --frozen and --offline a missing one is an error.
// Unpinned says what has no digest, if anything.
func (p *pipeline) pinBases(ctx context.Context, req builder.Request, bc *packaging.Context) (digests map[string]string, unpinned string, err error) {
	refs := baseReferences(bc)
	p.pins.looking.Lock()
	defer p.pins.looking.Unlock()
	var missing []string
	for _, ref := range refs {
		if (p.pins.base(ref) == "" || p.opts.pull) && !p.pins.wasAsked(pinBase, ref) {
			missing = append(missing, ref)
		}
	}
	if (p.opts.frozen || p.offline) && len(missing) > 0 {
		return nil, "", &notLockedError{"base images", missing, !p.opts.frozen}
	}
	if len(missing) > 0 {
		found, err := p.digests(ctx, req, missing)
		if err != nil {
			return nil, "", fmt.Errorf("looking up base images: %w", err)
		}
		p.pins.setBases(missing, found)
	}
	floating := bc.Dockerfile.Unpinned()
	out := map[string]string{}
	for _, ref := range refs {
		if digest := p.pins.base(ref); digest != "" {
			out[ref] = digest
		} else {
			floating = append(floating, ref)
		}
	}
	return out, strings.Join(floating, ", "), nil
}

// digests has the builder look images up, which asks registries as its solves do.
func (p *pipeline) digests(ctx context.Context, req builder.Request, refs []string) (map[string]string, error) {
	b, err := p.builder.get(ctx)
	if err != nil {
		return nil, err
	}
	return b.Digests(ctx, req, refs)
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
		if full, err := builder.FullReference(w); err == nil { // the solve says what is wrong with it
			refs = append(refs, full)
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}
