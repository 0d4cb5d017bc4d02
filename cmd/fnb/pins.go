package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fnb/builder"
	"fnb/packaging"
	"fnb/templates"
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
func (p *pipeline) pinBases(ctx context.Context, req builder.Request, dockerfile []byte, bc *packaging.Context) (pins map[string]string, unpinned string, err error) {
	refs, err := baseReferences(dockerfile, bc)
	if err != nil {
		return nil, "", err
	}
	p.bases.Lock()
	defer p.bases.Unlock()
	p.mu.Lock()
	known := maps.Clone(p.lock.Bases)
	p.mu.Unlock()
	var missing []string
	for _, ref := range refs {
		if (known[ref] == "" || p.opts.pull) && !p.asked[ref] {
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
		p.addBases(missing, found)
	}
	floating, err := templates.Unpinned(dockerfile, bc.BuildArgs)
	if err != nil {
		return nil, "", err
	}
	out := map[string]string{}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ref := range refs {
		if digest := p.lock.Bases[ref]; digest != "" {
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

// addBases puts what was found into the lock. One that was not found stays out:
// the solve says why.
func (p *pipeline) addBases(asked []string, found map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == nil {
		p.asked = map[string]bool{}
	}
	if p.lock.Bases == nil {
		p.lock.Bases = map[string]string{}
	}
	for _, ref := range asked {
		p.asked[ref] = true
		if d := found[ref]; d != "" && p.lock.Bases[ref] != d {
			p.lock.Bases[ref], p.locked = d, true
		}
	}
}

// baseReferences are the images that a solve reads from, and that of a frontend that
// is not BuildKit's own, without those that the Dockerfile names by digest: full,
// sorted, each once.
func baseReferences(dockerfile []byte, bc *packaging.Context) ([]string, error) {
	written, err := templates.BaseImages(dockerfile, bc.BuildArgs)
	if err != nil {
		return nil, err
	}
	if frontend := builder.Frontend(dockerfile, bc.BuildArgs); frontend != "" {
		written = append(written, frontend)
	}
	var refs []string
	for _, w := range written {
		full, err := builder.FullReference(w)
		if err != nil || isDigested(full) {
			continue // the solve says what is wrong with it
		}
		refs = append(refs, full)
	}
	slices.Sort(refs)
	return slices.Compact(refs), nil
}
