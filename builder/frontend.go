package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/builder/buildcontext"
)

// A stageImage is what a Dockerfile says of a stage, for one platform.
type stageImage struct {
	state  llb.State
	config []byte // of the image
	base   []byte // of the base image, nil for scratch
}

// describe reads the Dockerfile up to a stage. BuildKit's frontend does that in
// this process: every builder, however old, is asked for the same, and in one
// request. Where the Dockerfile names a frontend of its own, the builder runs that.
func (b *build) describe(ctx context.Context, g gw.Client, p ocispecs.Platform, target string) (*stageImage, error) {
	opts := b.frontendOpts(p, target)
	if b.foreign {
		return b.forward(ctx, g, opts)
	}
	f := &frontendClient{Client: g, build: b, opts: opts}
	ui, err := dockerui.NewClient(f)
	if err != nil {
		return nil, err
	}
	source := llb.NewSourceMap(nil, b.req.dockerfile(), "Dockerfile", b.dockerfile)
	opt := dockerfile2llb.ConvertOpt{Config: ui.Config, Client: ui, SourceMap: source, TargetPlatform: &p, MetaResolver: f}
	if target == b.req.Target && platformString(p) == platformString(ociPlatform(b.req.Platforms[0])) { // each warning once
		opt.Warn = f.warn(ctx)
	}
	res, err := dockerfile2llb.Dockerfile2LLB(ctx, b.dockerfile, opt)
	if err != nil {
		return nil, b.located(err)
	}
	img := &stageImage{state: res.State}
	if img.config, err = json.Marshal(res.Image); err != nil {
		return nil, err
	}
	if res.BaseImage != nil {
		img.base, err = json.Marshal(res.BaseImage)
	}
	return img, err
}

// forward has the builder run the frontend that the Dockerfile names.
func (b *build) forward(ctx context.Context, g gw.Client, opts map[string]string) (*stageImage, error) {
	def, err := buildcontext.Dockerfile(b.req.dockerfile(), b.dockerfile).Marshal(ctx)
	if err != nil {
		return nil, err
	}
	inputs := map[string]*pb.Definition{"context": b.context, "dockerfile": def.ToPB()}
	imports, err := cacheImports(g)
	if err != nil {
		return nil, err
	}
	r, err := g.Solve(ctx, gw.SolveRequest{Frontend: "dockerfile.v0", FrontendOpt: opts, FrontendInputs: inputs, CacheImports: imports})
	if err != nil {
		return nil, err
	}
	ref, err := r.SingleRef()
	if err != nil {
		return nil, err
	}
	img := &stageImage{state: llb.Scratch(), config: r.Metadata[exptypes.ExporterImageConfigKey], base: r.Metadata[exptypes.ExporterImageBaseConfigKey]}
	if ref != nil {
		img.state, err = ref.ToState()
	}
	return img, err
}

// frontendOpts are the options of a Dockerfile frontend.
func (b *build) frontendOpts(p ocispecs.Platform, target string) map[string]string {
	opts := map[string]string{
		"filename": b.req.dockerfile(),
		"platform": platformString(p),
	}
	if b.req.CacheMounts != "" {
		opts["build-arg:BUILDKIT_CACHE_MOUNT_NS"] = b.req.CacheMounts
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
	return opts
}

// A frontendClient is what BuildKit's Dockerfile frontend sees of the builder.
type frontendClient struct {
	gw.Client
	build *build
	opts  map[string]string
}

// BuildOpts implements [gw.Client].
func (f *frontendClient) BuildOpts() gw.BuildOpts {
	o := f.Client.BuildOpts()
	o.Opts = f.opts
	return o
}

// Inputs implements [gw.Client].
func (f *frontendClient) Inputs(context.Context) (map[string]llb.State, error) {
	op, err := llb.NewDefinitionOp(f.build.context)
	if err != nil {
		return nil, fmt.Errorf("describing the build context: %w", err)
	}
	return map[string]llb.State{"context": llb.NewState(op)}, nil
}

// ResolveImageConfig implements [gw.Client].
func (f *frontendClient) ResolveImageConfig(ctx context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	to, digest, config, err := f.build.imageConfig(ctx, f.Client, ref, opt)
	if err != nil && !lost(err) && ctx.Err() == nil {
		// As BuildKit says it in the builder. What a status of gRPC is wrapped in would
		// not come through.
		err = fmt.Errorf("failed to resolve source metadata for %s: %w", ref, WithoutGRPC(err))
	}
	return to, digest, config, err
}

// warn hands on what the frontend finds questionable in a Dockerfile.
func (f *frontendClient) warn(ctx context.Context) linter.LintWarnFunc {
	return func(rule, description, url, msg string, location []parser.Range) {
		opts := gw.WarnOpts{Level: 1, Detail: [][]byte{[]byte(description)}, URL: url}
		line := 0
		if len(location) > 0 {
			line = location[0].Start.Line
			opts.SourceInfo, opts.Range = f.build.sourceInfo(), ranges(location)
		}
		// A warning that does not arrive is no reason to fail.
		_ = f.Warn(ctx, digest.FromBytes(f.build.dockerfile), linter.LintFormatShort(rule, msg, line), opts)
	}
}

func (b *build) sourceInfo() *pb.SourceInfo {
	return &pb.SourceInfo{Filename: b.req.dockerfile(), Language: "Dockerfile", Data: b.dockerfile}
}

// located says of an error where in the Dockerfile it is.
func (b *build) located(err error) error {
	var at *parser.LocationError
	if errors.As(err, &at) {
		for _, l := range at.Locations {
			err = errdefs.WithSource(err, &errdefs.Source{Info: b.sourceInfo(), Ranges: ranges(l)})
		}
	}
	return err
}

func ranges(location []parser.Range) []*pb.Range {
	var out []*pb.Range
	for _, r := range location {
		out = append(out, &pb.Range{
			Start: &pb.Position{Line: int32(r.Start.Line), Character: int32(r.Start.Character)}, //nolint:gosec // of a small file
			End:   &pb.Position{Line: int32(r.End.Line), Character: int32(r.End.Character)},     //nolint:gosec // of a small file
		})
	}
	return out
}

// An imageConfig is a base image's configuration as the builder has found it.
type imageConfig struct {
	done   chan struct{} // closed when what follows is there
	ref    string
	digest digest.Digest
	config []byte
	err    error
}

// imageConfig asks the builder for the configuration of a base image, once for
// all functions of a run. Where that fails each asks for itself: the one that did
// may only have been stopped.
func (b *build) imageConfig(ctx context.Context, g gw.Client, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	if opt.ImageOpt == nil || opt.ImageOpt.Platform == nil || opt.OCILayoutOpt != nil {
		return g.ResolveImageConfig(ctx, ref, opt)
	}
	key := strings.Join([]string{ref, b.req.Bases[ref], platforms.FormatAll(*opt.ImageOpt.Platform), opt.ImageOpt.ResolveMode}, " ")
	c := &imageConfig{done: make(chan struct{})}
	if earlier, asked := b.configs.LoadOrStore(key, c); asked {
		c, _ = earlier.(*imageConfig) // nothing else is in there
		select {
		case <-c.done:
		case <-ctx.Done():
			return "", "", nil, ctx.Err()
		}
		if c.err != nil {
			return g.ResolveImageConfig(ctx, ref, opt)
		}
		return c.ref, c.digest, c.config, nil
	}
	defer close(c.done)
	if c.ref, c.digest, c.config, c.err = g.ResolveImageConfig(ctx, ref, opt); c.err != nil {
		b.configs.Delete(key)
	}
	return c.ref, c.digest, c.config, c.err
}
