package builder

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/client"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/tonistiigi/fsutil"

	"fnb/builder/layertimes"
	"fnb/schema"
)

// compatibilityVersion is the version of BuildKit's exporters that images are made for.
// With another one packaging.inputFormat has to change too.
const compatibilityVersion = 30

// Solve has the builder make the image of req and export it. It returns a
// [*SolveError] where a step fails, an [*ExportError] where the image cannot be
// delivered, a [*CacheTypeError] where it has no build cache that has to be
// written, an [*UnreachableError] where the builder goes away or falls silent,
// and ctx's error when ctx ends: the solve is then stopped in the builder too.
func (c *Client) Solve(ctx context.Context, req Request) (*Result, error) {
	if err := req.Check(); err != nil {
		return nil, err
	}
	req.Platforms = UniquePlatforms(req.Platforms)
	if len(req.Platforms) == 0 {
		p, err := c.DefaultPlatform(ctx)
		if err != nil {
			return nil, err
		}
		req.Platforms = []schema.Platform{p}
	}
	opt := client.SolveOpt{
		Internal: true, // no history record: half the time of an unchanged build
		// A newer builder makes the images that this one makes; one that is older does
		// not know of it.
		CompatibilityVersion: compatibilityVersion,
		// The client writes what it found of the caches into this map.
		// The exporter warns of other platforms than these.
		FrontendAttrs: map[string]string{"platform": platformList(req.Platforms)},
		CacheExports:  cacheEntries(req.CacheTo),
		SourcePolicy:  policy(req.Bases),
		OCIStores:     map[string]content.Store{},
		LocalMounts:   map[string]fsutil.FS{},
	}
	b := &build{req: &req, configs: &c.configs, gate: req.attend(&opt)}
	if err := b.trust(&opt, c.trusts); err != nil {
		return nil, err
	}
	if err := attach(&opt, &req); err != nil {
		return nil, err
	}
	if err := c.deliverable(req.Output); err != nil {
		return nil, err
	}
	release, err := export(&opt, &req, c.store)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := b.prepare(ctx, &opt); err != nil {
		return nil, err
	}
	// Of what is older than a later epoch, exporters leave the times, which a step may have written down.
	b.timed = !b.foreign && req.epoch() <= DefaultEpoch && layertimes.Possible(b.dockerfile, req.Target)
	return c.build(ctx, opt, b)
}

// build runs a solve that is ready, and follows it.
func (c *Client) build(ctx context.Context, opt client.SolveOpt, b *build) (*Result, error) {
	w := newWatch(b.req)
	b.failures = w.failures
	opt.CacheImports = cacheEntries(readable(b.req.CacheFrom, w))
	opt.CacheExports = writable(opt.CacheExports, w)
	ctx, attended := c.watchSilence(ctx)
	defer attended()
	var resp *client.SolveResponse
	var err error
	for again, lost := true, 0; again; {
		if err := c.dropLackingCaches(&opt, w); err != nil {
			return nil, err
		}
		rewriting(opt.Exports, !b.timed)
		resp, err = c.follow(ctx, opt, b, w)
		switch {
		case err == nil || ctx.Err() != nil:
			again = false
		case b.untimed.Load() && b.timed:
			b.timed = false // then the exporter sets the times
		case lostItsGraph(err) && lost < mostLost:
			lost++
		default:
			again = c.dropRefusedCache(&opt, err, w)
		}
	}
	if err != nil {
		if err := c.stopped(ctx); err != nil {
			return nil, err
		}
		if b.gate.explained(err) != err { //nolint:errorlint // it is either
			return nil, b.gate.explained(err)
		}
		return nil, c.explainOwnNetwork(c.explainForeign(c.explain(err, w, b.made.Load()), b))
	}
	res, err := result(resp, b.req, w)
	if err != nil {
		return nil, err
	}
	if b.sent != nil {
		res.Sent = b.sent()
	}
	res.Blob = c.Blob
	return res, nil
}

const mostLost = 2 // times that a solve is begun again because the builder has lost its graph

// lostItsGraph reports whether a builder has mixed up what several solves have in common,
// which is no fault of this one and which another try does not meet: moby/buildkit#3635.
func lostItsGraph(err error) bool {
	return strings.Contains(err.Error(), "failed to get state for index") || strings.Contains(err.Error(), "inconsistent graph state")
}

// follow runs a solve while w watches.
func (c *Client) follow(ctx context.Context, opt client.SolveOpt, b *build, w *watch) (*client.SolveResponse, error) {
	status := make(chan *client.SolveStatus)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run(status)
	}()
	run := func(ctx context.Context, g gw.Client) (*gw.Result, error) {
		if err := b.gate.holds(c, g); err != nil {
			return nil, err
		}
		return b.run(ctx, g)
	}
	var end func(error)
	if b.req.Turn != nil {
		all := run
		run = func(ctx context.Context, g gw.Client) (*gw.Result, error) {
			res, err := all(ctx, g)
			if err != nil {
				return nil, err
			}
			end, err = b.req.Turn(ctx)
			return res, err
		}
	}
	resp, err := c.c.Build(ctx, opt, "fnb", run, status)
	<-done
	if end != nil {
		end(err)
	}
	return resp, err
}

// explainForeign says of a step that could not be run which platform the builder lacks.
func (c *Client) explainForeign(err error, b *build) error {
	var se *SolveError
	if !errors.As(err, &se) || !strings.Contains(strings.ToLower(se.Problem+strings.Join(se.Log, "\n")), "exec format error") {
		return err
	}
	if p := b.first.Load(); p != nil && !slices.Contains(c.lists, *p) {
		se.Foreign = *p
	}
	return err
}
