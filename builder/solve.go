package builder

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"

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
	if err := req.check(); err != nil {
		return nil, err
	}
	req.Platforms = unique(req.Platforms)
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
	if err := attach(&opt, &req); err != nil {
		return nil, err
	}
	release, err := export(&opt, &req)
	if err != nil {
		return nil, err
	}
	defer release()
	b := &build{req: &req, configs: &c.configs}
	if err := b.prepare(ctx, &opt); err != nil {
		return nil, err
	}
	return c.build(ctx, opt, b)
}

// build runs a solve that is ready, and follows it.
func (c *Client) build(ctx context.Context, opt client.SolveOpt, b *build) (*Result, error) {
	w := newWatch(b.req)
	opt.CacheImports = cacheEntries(readable(b.req.CacheFrom, w))
	opt.CacheExports = writable(opt.CacheExports, w)
	ctx, attended := c.attend(ctx)
	defer attended()
	var resp *client.SolveResponse
	var err error
	for again := true; again; again = err != nil && ctx.Err() == nil && c.without(&opt, err, w) {
		if err := c.leaveOut(&opt, w); err != nil {
			return nil, err
		}
		resp, err = c.follow(ctx, opt, b, w)
	}
	if err != nil {
		if err := c.stopped(ctx); err != nil {
			return nil, err
		}
		return nil, c.secluded(c.foreign(c.explain(err, w, b.made.Load()), b))
	}
	res, err := result(resp, b.req, w)
	if err == nil && b.sent != nil {
		res.Sent = b.sent()
	}
	return res, err
}

// follow runs a solve while w watches.
func (c *Client) follow(ctx context.Context, opt client.SolveOpt, b *build, w *watch) (*client.SolveResponse, error) {
	status := make(chan *client.SolveStatus)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run(status)
	}()
	run := b.run
	var end func(error)
	if b.req.Turn != nil {
		run = func(ctx context.Context, g gw.Client) (*gw.Result, error) {
			res, err := b.run(ctx, g)
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

// foreign says of a step that could not be run which platform the builder lacks.
func (c *Client) foreign(err error, b *build) error {
	var se *SolveError
	if !errors.As(err, &se) || !strings.Contains(strings.ToLower(se.Problem+strings.Join(se.Log, "\n")), "exec format error") {
		return err
	}
	if p := b.failed.Load(); p != nil && !slices.Contains(c.lists, *p) {
		se.Foreign = *p
	}
	return err
}

// DefaultPlatform returns the platform that the builder makes images for when none
// is asked for.
func (c *Client) DefaultPlatform(ctx context.Context) (schema.Platform, error) {
	workers, err := c.c.ListWorkers(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return schema.Platform{}, ctx.Err()
		}
		return schema.Platform{}, &UnreachableError{Address: c.address, Err: withoutGRPC(err)}
	}
	for _, w := range workers {
		for _, p := range w.Platforms {
			return schema.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}, nil
		}
	}
	return schema.Platform{}, &UnreachableError{Address: c.address, Err: errNoWorkers}
}

// Runs reports whether the builder can run containers of a platform, and whether that
// is the one of its own machine, so that nothing is emulated.
func (c *Client) Runs(ctx context.Context, p schema.Platform) (has, native bool, err error) {
	own, err := c.DefaultPlatform(ctx)
	if err != nil {
		return false, false, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return false, false, err
	}
	has = slices.Contains(info.Platforms, platformString(ociPlatform(p)))
	return has, has && p.OS == own.OS && p.Architecture == own.Architecture, nil
}

func platformList(ps []schema.Platform) string {
	var names []string
	for _, p := range ps {
		names = append(names, platformString(ociPlatform(p)))
	}
	return strings.Join(names, ",")
}

// unique drops platforms that are named twice, also as linux/arm64 and
// linux/arm64/v8.
func unique(ps []schema.Platform) []schema.Platform {
	var out []schema.Platform
	seen := map[string]bool{}
	for _, p := range ps {
		if s := platformString(ociPlatform(p)); !seen[s] {
			seen[s] = true
			out = append(out, p)
		}
	}
	return out
}

// attach gives the session what the build may ask for: credentials for its registries
// and for those of further references, secrets, agents.
func attach(opt *client.SolveOpt, req *Request, refs ...string) error {
	var as []session.Attachable
	if req.Credentials != nil {
		as = append(as, req.credentials(refs...))
	}
	if len(req.Secrets) > 0 {
		as = append(as, secretsprovider.FromMap(req.Secrets))
	}
	if len(req.SSH) > 0 {
		var confs []sshprovider.AgentConfig
		for _, a := range req.SSH {
			confs = append(confs, sshprovider.AgentConfig{ID: a.ID, Paths: a.Paths})
		}
		p, err := sshprovider.NewSSHAgentProvider(confs)
		if err != nil {
			return fmt.Errorf("forwarding the ssh agent: %w", err)
		}
		as = append(as, p)
	}
	opt.Session = as
	return nil
}

// export says where the image goes. What it returns is to be called after the
// solve.
func export(opt *client.SolveOpt, req *Request) (release func(), err error) {
	release = func() {}
	attrs := map[string]string{
		"oci-mediatypes":    "true",
		"rewrite-timestamp": "true",
		"source-date-epoch": strconv.FormatInt(req.epoch(), 10),
		"compression":       "gzip",
		"force-compression": "false",
	}
	out := req.Output
	if len(out.Names) > 0 {
		attrs["name"] = strings.Join(out.Names, ",")
	}
	switch {
	case out.Store != "":
		var store content.Store
		if store, release, err = openStore(out.Store); err != nil {
			return nil, fmt.Errorf("opening the image store: %w", err)
		}
		attrs["tar"] = "false"
		opt.Exports = []client.ExportEntry{{Type: client.ExporterOCI, Attrs: attrs, OutputStore: store}}
	case len(out.Push) > 0:
		attrs["push"] = "true"
		attrs["name"] = strings.Join(out.Push, ",")
		attrs["store"] = "false"
		if out.byDigest {
			repo, err := repository(out.Push[0])
			if err != nil {
				return nil, err
			}
			attrs["name"], attrs["push-by-digest"], attrs["name-canonical"] = repo, "true", "true"
		}
		attrs["registry.insecure"] = strconv.FormatBool(out.PlainHTTP)
		opt.Exports = []client.ExportEntry{{Type: client.ExporterImage, Attrs: attrs}}
	case out.OCI != nil:
		opt.Exports = []client.ExportEntry{{Type: client.ExporterOCI, Attrs: attrs, Output: fileOutput(out.OCI)}}
	case out.Docker != nil:
		opt.Exports = []client.ExportEntry{{Type: client.ExporterDocker, Attrs: attrs, Output: fileOutput(out.Docker)}}
	case out.Local != "":
		opt.Exports = []client.ExportEntry{{Type: client.ExporterLocal, OutputDir: out.Local}}
	}
	return release, nil
}

func fileOutput(open func() (io.WriteCloser, error)) func(map[string]string) (io.WriteCloser, error) {
	return func(map[string]string) (io.WriteCloser, error) { return open() }
}

// cacheEntries has a cache that cannot be written fail no build, unless it says
// otherwise itself.
func cacheEntries(caches []Cache) []client.CacheOptionsEntry {
	var es []client.CacheOptionsEntry
	for _, c := range caches {
		attrs := maps.Clone(c.Attrs)
		if attrs["ignore-error"] == "" {
			attrs["ignore-error"] = "true"
		}
		es = append(es, client.CacheOptionsEntry{Type: c.Type, Attrs: attrs})
	}
	return es
}

// prepare puts the build context and the watchdog's layout where the build
// finds them.
func (b *build) prepare(ctx context.Context, opt *client.SolveOpt) error {
	bc, err := readContext(ctx, b.req.Context)
	if err != nil {
		return err
	}
	dockerfile, err := fs.ReadFile(b.req.Context, b.req.dockerfile())
	if err != nil {
		return fmt.Errorf("reading the Dockerfile: %w", err)
	}
	// Where nothing can see the times, the exporter sets them.
	seen := !b.req.exporterTimes() || observes(dockerfile, bc.entries, b.req.targets()...)
	var st llb.State
	if bc.small() {
		st, err = bc.inline(seen)
		b.sent = func() int64 { return bc.bytes }
	} else {
		var served *contextFS
		if st, served, err = bc.local("fnb:"+b.req.Name, b.req.Sums); err == nil {
			opt.LocalMounts[contextName] = served
			b.sent = served.sent.Load
		}
		if seen {
			st = timed(st)
		}
	}
	if err != nil {
		return err
	}
	b.dockerfile, b.foreign = dockerfile, Frontend(dockerfile, b.req.BuildArgs) != ""
	def, err := st.Marshal(ctx)
	if err != nil {
		return fmt.Errorf("describing the build context: %w", err)
	}
	b.context = def.ToPB()
	b.serveWatchdog(opt)
	return nil
}

// serveWatchdog puts the watchdog's layout where the build finds it.
func (b *build) serveWatchdog(opt *client.SolveOpt) {
	layout := b.req.Watchdog.Layout
	if layout == nil {
		return
	}
	opt.OCIStores[b.watchdogStore()] = &layoutStore{fsys: layout}
	for _, p := range b.req.Platforms {
		id := platformString(ociPlatform(p))
		opt.LocalMounts[b.watchdogLocal(id)] = &watchdogFS{layout: layout, manifest: b.req.Watchdog.Manifests[id]}
	}
}

// The own builder answers a push with the manifest or index too, where that is no
// longer than manifestLimit, in bytes.
const (
	manifestKey   = "fnb.manifest"
	manifestLimit = 1 << 20
)

// pushingStatus is how the own builder calls the progress of a layer on its way to a
// registry, in bytes; the layer's digest follows.
const pushingStatus = "pushing layer "

// result reads what the exporter answered.
func result(resp *client.SolveResponse, req *Request, w *watch) (*Result, error) {
	r := &Result{
		Digest:     resp.ExporterResponse[exptypes.ExporterImageDigestKey],
		Platforms:  slices.Clone(req.Platforms),
		CachedPart: w.cachedPart(),
		Warnings:   w.warnings,
		Lints:      w.lints,
		Pushed:     w.pushedBytes(),
		labels:     req.Config.Labels,
	}
	if enc := resp.ExporterResponse[exptypes.ExporterImageDescriptorKey]; enc != "" {
		raw, err := base64.StdEncoding.DecodeString(enc)
		if err != nil {
			return nil, fmt.Errorf("reading the builder's answer: %w", err)
		}
		var desc ocispecs.Descriptor
		if err := json.Unmarshal(raw, &desc); err != nil {
			return nil, fmt.Errorf("reading the builder's answer: %w", err)
		}
		r.MediaType, r.Size, r.Digest = desc.MediaType, desc.Size, desc.Digest.String()
	}
	if raw := []byte(resp.ExporterResponse[manifestKey]); digest.FromBytes(raw).String() == r.Digest {
		r.Manifest = raw
	}
	if r.Digest == "" && (req.Output.Store != "" || len(req.Output.Push) > 0) {
		return nil, errors.New("the builder made an image and did not say its digest")
	}
	return r, nil
}
