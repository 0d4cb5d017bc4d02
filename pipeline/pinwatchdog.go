package pipeline

import (
	"context"
	"fmt"
	"maps"

	"fnb/builder"
	"fnb/packaging"
	"fnb/pipeline/pins"
	"fnb/policy"
	"fnb/schema"
	"fnb/schema/words"
)

// pinWatchdog holds a watchdog against the lock, for each platform: the one that is
// part of fnb by the digest of its layer, and an image by its digest, which the
// solve then has to take. What the lock lacks is added; with --frozen that is an
// error. Unpinned is the image of a watchdog that has no digest.
//
// The watchdog of another fnb cannot be had, so that its pin is a note, and with
// --frozen an error.
func (p *Pipeline) pinWatchdog(ctx context.Context, req *builder.Request, watchdog string) (unpinned string, notes []Note, err error) {
	switch watchdog {
	case "":
		return "", nil, nil
	case words.WatchdogDefault:
		notes, err = p.pinDefault()
		return "", notes, err
	}
	image, err := schema.ParseImageRef(watchdog)
	if err != nil {
		return "", nil, nil //nolint:nilerr // the solve says what is wrong with it
	}
	ref, digest := image.Exact().String(), image.Digest
	if digest == "" {
		if digest, err = p.watchdogDigest(ctx, req, ref); err != nil {
			return "", nil, err
		}
		if digest == "" && !p.settings.CompareOnly {
			return ref, nil, nil // the solve says why
		}
		req.Bases[ref] = digest
	}
	return "", nil, p.allow.Signed(ctx, policy.KindBase, map[string]string{ref: digest})
}

// watchdogDigest is the digest of a watchdog that is an image: the lock's, or else the
// one that is looked up and pinned; "" where nobody knows it.
func (p *Pipeline) watchdogDigest(ctx context.Context, req *builder.Request, ref string) (string, error) {
	defer p.Pins.Looking()()
	pinned := p.Pins.Watchdog(ref)
	digest := anyDigest(pinned)
	if p.settings.CompareOnly {
		return digest, nil
	}
	if (p.settings.Pinning.Frozen || p.settings.Pinning.Offline) && digest == "" {
		return "", &pins.NotLockedError{What: "watchdogs", Refs: []string{ref}, Offline: !p.settings.Pinning.Frozen}
	}
	look := digest == "" || (p.settings.Pinning.Pull || p.settings.Pinning.Upgrade) && !p.settings.Pinning.Offline && !p.Pins.WasAsked(pins.Watchdog, ref)
	if look {
		found, missed, err := p.digests(ctx, *req, policy.KindBase, []string{ref}, map[string]string{ref: digest})
		if err != nil {
			return "", fmt.Errorf("looking up the watchdog: %w", err)
		}
		if digest = found[ref]; digest == "" {
			p.Pins.MissWatchdog(ref, missed[ref])
			return "", nil
		}
	}
	for pl := range pinned {
		pinned[pl] = digest
	}
	for _, pl := range req.Platforms {
		pinned[pl.String()] = digest
	}
	p.Pins.SetWatchdog(ref, pinned, look)
	return digest, nil
}

// anyDigest is the digest of an image's watchdog: the same for all platforms, since
// it is that of an index.
func anyDigest(watchdog map[string]string) string {
	for _, digest := range watchdog {
		return digest
	}
	return ""
}

// pinDefault holds the watchdog that is part of fnb against the lock.
func (p *Pipeline) pinDefault() ([]Note, error) {
	if p.settings.CompareOnly {
		return nil, nil
	}
	w, err := packaging.Watchdog()
	if err != nil {
		return nil, err
	}
	was := p.Pins.Watchdog(words.WatchdogDefault)
	switch {
	case maps.Equal(was, w.Layers):
		return nil, nil
	case p.settings.Pinning.Frozen && len(was) == 0:
		return nil, &pins.NotLockedError{What: "watchdogs", Refs: []string{words.WatchdogDefault}}
	case p.settings.Pinning.Frozen:
		return nil, &pins.OtherWatchdogError{}
	case len(was) > 0 && !p.settings.Pinning.Upgrade:
		return []Note{{NoteOtherWatchdog, (&pins.OtherWatchdogError{}).Error()}}, nil
	}
	p.Pins.SetWatchdog(words.WatchdogDefault, w.Layers, false)
	return nil, nil
}
