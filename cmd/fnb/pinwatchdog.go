package main

import (
	"context"
	"fmt"
	"io/fs"
	"maps"

	"fnb/builder"
	"fnb/packaging"
	"fnb/schema"
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
	p.bases.Lock()
	defer p.bases.Unlock()
	digest := p.lockedWatchdog(ref)
	if (p.opts.frozen || p.offline) && digest == "" {
		return "", &notLockedError{"watchdogs", []string{ref}, !p.opts.frozen}
	}
	if digest == "" || (p.opts.pull || p.upgrade) && !p.asked[ref] && !p.offline {
		found, err := p.digests(ctx, *req, []string{ref})
		if err != nil {
			return "", fmt.Errorf("looking up the watchdog: %w", err)
		}
		if digest = found[ref]; digest == "" {
			return ref, nil // the solve says why
		}
	}
	entry := map[string]string{}
	for _, pl := range req.Platforms {
		entry[pl.String()] = digest
	}
	p.setWatchdog(ref, entry, digest)
	if req.Bases == nil {
		req.Bases = map[string]string{}
	}
	req.Bases[ref] = digest
	return "", nil
}

// isDigested reports whether a full reference names a digest.
func isDigested(ref string) bool { return len(ref) > 72 && ref[len(ref)-72:len(ref)-64] == "@sha256:" }

// lockedWatchdog is the digest that the lock has of an image's watchdog: the same
// for all platforms, since it is that of an index.
func (p *pipeline) lockedWatchdog(ref string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.lock.Watchdogs[ref] {
		return d
	}
	return ""
}

// setWatchdog puts the digests of a watchdog into the lock. Platforms that are there
// already get the same digest.
func (p *pipeline) setWatchdog(ref string, entry map[string]string, digest string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	merged := maps.Clone(p.lock.Watchdogs[ref])
	for pl := range merged {
		merged[pl] = digest
	}
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, entry)
	if p.lock.Watchdogs == nil {
		p.lock.Watchdogs = map[string]map[string]string{}
	}
	if p.asked == nil {
		p.asked = map[string]bool{}
	}
	p.asked[ref] = true
	if !maps.Equal(merged, p.lock.Watchdogs[ref]) {
		p.lock.Watchdogs[ref], p.locked = merged, true
	}
}

// pinDefault holds the watchdog that is part of fnb against the lock.
func (p *pipeline) pinDefault(j *job) error {
	w, err := packaging.Watchdog()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.lock.Watchdogs[defaultWatchdog]
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
	if p.lock.Watchdogs == nil {
		p.lock.Watchdogs = map[string]map[string]string{}
	}
	p.lock.Watchdogs[defaultWatchdog], p.locked = maps.Clone(w.Layers), true
	return nil
}

// A watchdogError says that the lock has the watchdog of another fnb.
type watchdogError struct{}

func (e *watchdogError) Error() string {
	return "the watchdog of this fnb is not the one that fnb.lock has"
}

// pin puts everything of a function into the lock that it lacks: its template, its
// base images and its watchdog.
func (p *pipeline) pin(ctx context.Context, j *job) error {
	tmpl, err := p.resolve(ctx, j)
	if err != nil {
		return err
	}
	bc, err := p.pack(ctx, j, tmpl)
	if err != nil {
		return err
	}
	j.doing = "pinning"
	j.template = tmpl
	dockerfile, err := fs.ReadFile(bc.FS, bc.Dockerfile)
	if err != nil {
		return err
	}
	req := builder.Request{Name: j.fn.Name, Pull: p.opts.pull, Credentials: p.registry.Credentials, Progress: p.progress}
	if req.Platforms, err = p.platformsOf(ctx, j.fn); err != nil {
		return err
	}
	if req.Bases, _, err = p.pinBases(ctx, req, dockerfile, bc); err != nil {
		return err
	}
	_, err = p.pinWatchdog(ctx, j, &req, bc.Watchdog)
	return err
}

// pinJobs are jobs for pinning.
func pinJobs(fns []schema.Function) []*job {
	var jobs []*job
	for _, fn := range fns {
		if !fn.SkipBuild {
			jobs = append(jobs, &job{fn: fn, report: &schema.FunctionReport{Name: fn.Name, Template: fn.Lang}})
		}
	}
	return jobs
}
