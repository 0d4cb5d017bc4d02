package builder

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"fnb/schema"
)

// watchdogStore is the session's name for the watchdog's layout.
const watchdogStore = "fnbwatchdog"

// watchdogPath is where the watchdog stands in every image.
const watchdogPath = "/usr/bin/fwatchdog"

// A build is one call of the gateway's build function.
type build struct {
	req    *Request
	inputs map[string]*pb.Definition
}

// run solves each platform and puts the results together.
func (b *build) run(ctx context.Context, g gw.Client) (*gw.Result, error) {
	images := make([]*image, len(b.req.Platforms))
	eg, egctx := errgroup.WithContext(ctx)
	for i, p := range b.req.Platforms {
		eg.Go(func() error {
			img, err := b.platform(egctx, g, ociPlatform(p))
			images[i] = img
			return err
		})
	}
	if err := eg.Wait(); err != nil {
		return nil, err
	}
	return combine(b.req, images)
}

// An image is the result of one platform.
type image struct {
	platform ocispecs.Platform
	ref      gw.Reference // nil for an empty image
	config   []byte
	base     []byte // the base image's configuration, nil for scratch
}

func (b *build) platform(ctx context.Context, g gw.Client, p ocispecs.Platform) (*image, error) {
	if b.req.Test != "" {
		if _, err := g.Solve(ctx, b.frontend(g, p, b.req.Test, true)); err != nil {
			return nil, err
		}
	}
	r, err := g.Solve(ctx, b.frontend(g, p, b.req.Target, false))
	if err != nil {
		return nil, err
	}
	ref, err := r.SingleRef()
	if err != nil {
		return nil, err
	}
	img := &image{platform: p, ref: ref, base: r.Metadata[exptypes.ExporterImageBaseConfigKey]}
	layer, err := b.watchdog(p)
	if err != nil {
		return nil, err
	}
	if layer != nil {
		if img.ref, err = merge(ctx, g, p, ref, *layer); err != nil {
			return nil, err
		}
	}
	img.config, err = patchConfig(r.Metadata[exptypes.ExporterImageConfigKey], b.req, layer != nil)
	return img, err
}

// frontend is the request to solve the Dockerfile up to a stage.
func (b *build) frontend(g gw.Client, p ocispecs.Platform, target string, evaluate bool) gw.SolveRequest {
	opts := map[string]string{
		"filename": b.req.dockerfile(),
		"platform": platformString(p),
	}
	for k, v := range b.req.BuildArgs {
		opts["build-arg:"+k] = v
	}
	for k, v := range b.req.Proxy {
		opts["build-arg:"+k] = v
	}
	opts["build-arg:SOURCE_DATE_EPOCH"] = strconv.FormatInt(b.req.epoch(), 10)
	if target != "" {
		opts["target"] = target
	}
	if b.req.NoCache {
		opts["no-cache"] = ""
	}
	if b.req.Pull {
		opts["image-resolve-mode"] = pb.AttrImageResolveModeForcePull
	}
	var imports []gw.CacheOptionsEntry
	for _, c := range b.req.CacheFrom {
		imports = append(imports, gw.CacheOptionsEntry{Type: c.Type, Attrs: c.Attrs})
	}
	return gw.SolveRequest{Frontend: "dockerfile.v0", FrontendOpt: opts, FrontendInputs: b.inputs, CacheImports: imports, Evaluate: evaluate}
}

// watchdog returns the state that holds nothing but the watchdog, nil for none.
func (b *build) watchdog(p ocispecs.Platform) (*llb.State, error) {
	w := b.req.Watchdog
	var st llb.State
	switch {
	case w.Layout != nil:
		dgst, ok := w.Manifests[platformString(p)]
		if !ok {
			return nil, fmt.Errorf("there is no watchdog for the platform %s", platformString(p))
		}
		st = llb.OCILayout("fnb.local/watchdog@"+dgst, llb.OCIStore("", watchdogStore), llb.Platform(p),
			llb.WithCustomName("[fnb] watchdog"))
	case w.Reference != "":
		src := llb.Image(w.Reference, llb.Platform(p), llb.WithCustomName("[fnb] watchdog "+w.Reference))
		st = llb.Scratch().File(copyWatchdog(src, "/fwatchdog"), llb.WithCustomName("[fnb] copy the watchdog"))
	default:
		return nil, nil
	}
	return &st, nil
}

func copyWatchdog(src llb.State, from string) *llb.FileAction {
	mode := llb.ChmodOpt{Mode: 0o755}
	return llb.Copy(src, from, watchdogPath,
		&llb.CopyInfo{Mode: &mode, ChownOpt: &llb.ChownOpt{User: &llb.UserOpt{UID: 0}, Group: &llb.UserOpt{UID: 0}}, CreateDestPath: true},
		llb.WithCreatedTime(contextTime))
}

// merge lays the watchdog's layer over the Dockerfile's result. A builder
// without merge (a Docker Engine's graph drivers) gets a copy instead.
func merge(ctx context.Context, g gw.Client, p ocispecs.Platform, ref gw.Reference, layer llb.State) (gw.Reference, error) {
	app := llb.Scratch()
	if ref != nil {
		st, err := ref.ToState()
		if err != nil {
			return nil, err
		}
		app = st
	}
	caps := g.BuildOpts().LLBCaps
	var out llb.State
	if caps.Supports(pb.CapMergeOp) == nil {
		out = llb.Merge([]llb.State{app, layer}, llb.WithCustomName("[fnb] merge the watchdog's layer"))
	} else {
		out = app.File(copyWatchdog(layer, watchdogPath), llb.WithCustomName("[fnb] copy the watchdog"))
	}
	def, err := out.Marshal(ctx, llb.Platform(p), llb.WithCaps(caps))
	if err != nil {
		return nil, err
	}
	r, err := g.Solve(ctx, gw.SolveRequest{Definition: def.ToPB()})
	if err != nil {
		return nil, err
	}
	return r.SingleRef()
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
		annotate(res, req.Config, nil)
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
		annotate(res, req.Config, &img.platform)
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
func annotate(res *gw.Result, config schema.ImageConfig, p *ocispecs.Platform) {
	for k, v := range config.Labels {
		res.AddMeta(exptypes.AnnotationManifestKey(p, k), []byte(v))
	}
}
