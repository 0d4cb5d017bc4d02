package main

import (
	"context"
	"fmt"
	"maps"

	"fnb/builder"
	"fnb/packaging"
)

// defaultWatchdog is the name of the watchdog that is part of fnb.
const defaultWatchdog = "default"

// pinWatchdog holds a watchdog against the lock, for each platform: the one that is
// part of fnb by the digest of its layer, and an image by its digest, which the
// solve then has to take. What the lock lacks is added; with --frozen that is an
// error. Unpinned is the image of a watchdog that has no digest.
//
// The watchdog of another fnb cannot be had, so that its pin is a note, and with
// --frozen an error.
func (p *pipeline) pinWatchdog(ctx context.Context, j *job, req *builder.Request, watchdog string) (unpinned string, err error) {
	switch watchdog {
	case "":
		return "", nil
	case defaultWatchdog:
		return "", p.pinDefault(j)
	}
	ref, err := builder.FullReference(watchdog)
	if err != nil || isDigested(ref) {
		return "", nil //nolint:nilerr // the solve says what is wrong with it
	}
	p.pins.looking.Lock()
	defer p.pins.looking.Unlock()
	pinned := p.pins.watchdog(ref)
	digest := anyDigest(pinned)
	if (p.opts.frozen || p.offline) && digest == "" {
		return "", &notLockedError{"watchdogs", []string{ref}, !p.opts.frozen}
	}
	look := digest == "" || (p.opts.pull || p.upgrade) && !p.offline && !p.pins.wasAsked(pinWatchdog, ref)
	if look {
		found, err := p.digests(ctx, *req, []string{ref})
		if err != nil {
			return "", fmt.Errorf("looking up the watchdog: %w", err)
		}
		if digest = found[ref]; digest == "" {
			return ref, nil // the solve says why
		}
	}
	for pl := range pinned {
		pinned[pl] = digest
	}
	for _, pl := range req.Platforms {
		pinned[pl.String()] = digest
	}
	p.pins.setWatchdog(ref, pinned, look)
	if req.Bases == nil {
		req.Bases = map[string]string{}
	}
	req.Bases[ref] = digest
	return "", nil
}

// isDigested reports whether a full reference names a digest.
func isDigested(ref string) bool { return len(ref) > 72 && ref[len(ref)-72:len(ref)-64] == "@sha256:" }

// anyDigest is the digest of an image's watchdog: the same for all platforms, since
// it is that of an index.
func anyDigest(watchdog map[string]string) string {
	for _, digest := range watchdog {
		return digest
	}
	return ""
}

// pinDefault holds the watchdog that is part of fnb against the lock.
func (p *pipeline) pinDefault(j *job) error {
	w, err := packaging.Watchdog()
	if err != nil {
		return err
	}
	was := p.pins.watchdog(defaultWatchdog)
	switch {
	case maps.Equal(was, w.Layers):
		return nil
	case p.opts.frozen && len(was) == 0:
		return &notLockedError{"watchdogs", []string{defaultWatchdog}, false}
	case p.opts.frozen:
		return &watchdogError{}
	case len(was) > 0 && !p.upgrade:
		j.report.Warnings = append(j.report.Warnings, (&watchdogError{}).Error()+": fnb update moves the pin")
		return nil
	}
	p.pins.setWatchdog(defaultWatchdog, w.Layers, false)
	return nil
}

// A watchdogError says that the lock has the watchdog of another fnb.
type watchdogError struct{}

func (e *watchdogError) Error() string {
	return "the watchdog of this fnb is not the one that fnb.lock has"
}
