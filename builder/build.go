package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"fnb/builder/authority"
	"fnb/builder/layertimes"
	"fnb/builder/steps"
	"fnb/schema"
)

// A build is one call of the gateway's build function.
type build struct {
	req        *Request
	dockerfile []byte
	context    *pb.Definition
	foreign    bool                   // the Dockerfile names a frontend that is not BuildKit's own
	configs    *sync.Map              // *imageConfig by what it is asked for
	sent       func() int64           // bytes of the build context that were sent
	made       atomic.Bool            // all images are made; what is left is to deliver them
	first      atomic.Pointer[string] // platform that failed first
	failures   <-chan string          // has the name of a step that failed, as its status says it
	gate       *gatekeeper            // nil lets everything be read
	timed      bool                   // layers are made with their time, which no exporter has to set
	untimed    atomic.Bool            // that turned out to be impossible
	trusted    *authority.Trusted     // what each step is described with, for a builder that cannot do it; else nil
}

// run solves each platform and puts the results together. Nothing is solved before all images are described: a builder that
// loses what was asked of it, and is asked for the same at once, can lose its graph or itself (moby/buildkit#3635).
func (b *build) run(ctx context.Context, g gw.Client) (*gw.Result, error) {
	images := make([]*image, len(b.req.Platforms))
	eg, egctx := errgroup.WithContext(ctx)
	b.each(eg, func(i int, p ocispecs.Platform) (err error) {
		images[i], err = b.image(egctx, g, p)
		return err
	})
	if err := eg.Wait(); err != nil {
		return nil, err
	}
	eg, egctx = errgroup.WithContext(ctx)
	b.each(eg, func(i int, _ ocispecs.Platform) error { return b.make(egctx, g, images[i]) })
	var base map[string]string
	eg.Go(func() error {
		base = b.baseLabels(egctx, g, ociPlatform(b.req.Platforms[0]))
		return nil
	})
	if err := eg.Wait(); err != nil {
		return nil, err
	}
	b.withLabels(base)
	for _, img := range images {
		config, err := patchConfig(img.config, b.req, img)
		if err != nil {
			return nil, err
		}
		img.config = config
	}
	res, err := combine(b.req, images)
	b.made.Store(err == nil)
	return res, err
}

// An image is the result of one platform.
type image struct {
	platform ocispecs.Platform
	def      *llb.Definition
	ref      gw.Reference // nil for an empty image, and before it is made
	config   []byte
	layered  bool              // the watchdog's layer was put on top
	base     []byte            // the base image's configuration, nil for scratch
	labels   map[string]string // of this platform alone
}

// each does something for all platforms, and remembers which failed first.
func (b *build) each(eg *errgroup.Group, do func(i int, p ocispecs.Platform) error) {
	for i, platform := range b.req.Platforms {
		p := ociPlatform(platform)
		eg.Go(func() error {
			err := do(i, p)
			if err != nil {
				id := platformString(p)
				b.first.CompareAndSwap(nil, &id)
			}
			return err
		})
	}
}

// make makes an image that is described, and what is tested before it and beside it.
func (b *build) make(ctx context.Context, g gw.Client, img *image) (err error) {
	if b.req.Test != "" {
		if err := b.test(ctx, g, img.platform, b.req.Test); err != nil {
			return err
		}
	}
	if b.req.Beside == "" {
		img.ref, err = b.solve(ctx, g, img.def)
		return err
	}
	eg, egctx := errgroup.WithContext(ctx)
	eg.Go(func() error { return b.test(egctx, g, img.platform, b.req.Beside) })
	eg.Go(func() (err error) {
		img.ref, err = b.solve(egctx, g, img.def)
		return err
	})
	return eg.Wait()
}

// image describes an image.
func (b *build) image(ctx context.Context, g gw.Client, p ocispecs.Platform) (*image, error) {
	stage, err := b.describe(ctx, g, p, b.req.Target)
	if err != nil {
		return nil, err
	}
	img := &image{platform: p, config: stage.config, base: stage.base}
	st := stage.state
	if err := b.describeLayers(ctx, g, img, st); err != nil {
		return nil, err
	}
	if !b.req.Watchdog.None() {
		img.layered = true
		if st, err = b.req.Watchdog.Over(st, p, g.BuildOpts().LLBCaps); err != nil {
			return nil, err
		}
	}
	if img.def, err = b.define(ctx, g, p, st); err == nil && b.timed {
		if err = layertimes.Set(img.def, b.req.epoch()); errors.Is(err, layertimes.ErrImpossible) {
			b.untimed.Store(true)
		}
	}
	return img, err
}

// test makes a stage whose result nobody wants.
func (b *build) test(ctx context.Context, g gw.Client, p ocispecs.Platform, target string) error {
	stage, err := b.describe(ctx, g, p, target)
	if err != nil {
		return err
	}
	def, err := b.define(ctx, g, p, stage.state)
	if err == nil {
		_, err = b.solve(ctx, g, def)
	}
	return err
}

// solve has the builder make what is described, and returns when that is done. An empty one
// has a nil reference.
func (b *build) solve(ctx context.Context, g gw.Client, def *llb.Definition) (gw.Reference, error) {
	imports, err := cacheImports(g)
	if err != nil {
		return nil, err
	}
	r, err := g.Solve(ctx, gw.SolveRequest{Definition: def.ToPB(), CacheImports: imports, Evaluate: true})
	if err != nil {
		if b.req.Failed != nil && ctx.Err() == nil && !lost(err) {
			b.req.Failed(ctx, steps.Failed(ctx, g, def, err, b.failures))
		}
		return nil, err
	}
	return r.SingleRef()
}

// define is a state as the builder is asked for it.
func (b *build) define(ctx context.Context, g gw.Client, p ocispecs.Platform, st llb.State) (*llb.Definition, error) {
	def, err := st.Marshal(ctx, llb.Platform(p), llb.WithCaps(g.BuildOpts().LLBCaps))
	if err != nil {
		return nil, err
	}
	if b.trusted != nil {
		err = b.trusted.Into(def)
	}
	if b.req.NoCache && err == nil {
		err = steps.IgnoreCache(def)
	}
	return def, err
}

// cacheImports are the caches that may be read, as the client found them. Every
// solve has to name them: one is only described until another one needs it.
func cacheImports(g gw.Client) ([]gw.CacheOptionsEntry, error) {
	var imports []gw.CacheOptionsEntry
	if raw := g.BuildOpts().Opts["cache-imports"]; raw != "" {
		if err := json.Unmarshal([]byte(raw), &imports); err != nil {
			return nil, fmt.Errorf("reading the caches to import: %w", err)
		}
	}
	return imports, nil
}

// combine makes one result of the platforms' images. The base image's
// configuration goes along, or the exporter would take the base's layers for
// the build's own and rewrite them.
func combine(req *Request, images []*image) (*gw.Result, error) {
	res := gw.NewResult()
	if len(images) == 1 {
		img := images[0]
		res.SetRef(img.ref)
		res.AddMeta(exptypes.ExporterImageConfigKey, img.config)
		if img.base != nil {
			res.AddMeta(exptypes.ExporterImageBaseConfigKey, img.base)
		}
		annotate(res, req.Config, img, nil)
		return res, nil
	}
	var ps exptypes.Platforms
	for _, img := range images {
		id := platformString(img.platform)
		ps.Platforms = append(ps.Platforms, exptypes.Platform{ID: id, Platform: img.platform})
		res.AddRef(id, img.ref)
		res.AddMeta(exptypes.ExporterImageConfigKey+"/"+id, img.config)
		if img.base != nil {
			res.AddMeta(exptypes.ExporterImageBaseConfigKey+"/"+id, img.base)
		}
		annotate(res, req.Config, img, &img.platform)
	}
	raw, err := json.Marshal(ps)
	if err != nil {
		return nil, err
	}
	res.AddMeta(exptypes.ExporterPlatformsKey, raw)
	for k, v := range req.Config.Labels {
		res.AddMeta(exptypes.AnnotationIndexKey(k), []byte(v))
	}
	return res, nil
}

// annotate puts the labels on a platform's manifest too; nil is the only one.
func annotate(res *gw.Result, config schema.ImageConfig, img *image, p *ocispecs.Platform) {
	for _, labels := range []map[string]string{config.Labels, img.labels} {
		for k, v := range labels {
			res.AddMeta(exptypes.AnnotationManifestKey(p, k), []byte(v))
		}
	}
}
