package builder

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"

	"fnb/schema"
)

// Where a container has what it was given.
const (
	secretsDir = "/var/openfaas/secrets"
	tunnelDir  = "/.fnb"
)

// A RunRequest is a container to be started in the builder: of what Build
// makes, or of Image.
type RunRequest struct {
	Name string // of the function; goes before the progress

	// Build is solved, mostly from the cache, and its result is run without an
	// export. Its Output, Test and CacheTo are left aside, and of several
	// Platforms the first counts unless Platform is set.
	Build *Request
	// Image is a reference with a digest, which the builder pulls.
	Image string

	Platform schema.Platform // the zero value is the builder's own

	// Env is set over the image's environment.
	Env map[string]string
	// Secrets are files in /var/openfaas/secrets, by name. They are mounted from
	// memory: in no layer, argument or environment, and in no cache key.
	Secrets map[string][]byte
	// Port is the TCP port that requests go to; 0 is the one that the image
	// says: its variables port and PORT, a port it exposes, or 8080.
	Port int

	// Stdout and Stderr receive what the container writes; nil drops it. One
	// that blocks holds up the container and its connections, as a terminal does. One
	// that is an [io.Closer] is closed when there is no more.
	Stdout, Stderr io.Writer

	// Tunnel is a watchdog whose connect mode reaches into the container. It is
	// mounted beside the image's files, so that every image can be run.
	Tunnel Watchdog

	// prefix keeps the container's secrets apart from those of its build: no step can
	// name what nobody knows before.
	prefix string

	Progress *Progress // of making or pulling the image; nil is that of Build
	// Registries are further hosts that the builder may have credentials for, such as
	// mirrors of that of Image.
	Registries []string
	// Credentials are for the registry of Image, as in [Request].
	Credentials func(ctx context.Context, host string) (user, secret string, err error)
}

// request is the build that the container comes from; for an image it has no
// build context.
func (r *RunRequest) request() (*Request, error) {
	var req Request
	switch {
	case r.Build == nil && r.Image == "":
		return nil, fmt.Errorf("function %s: a container needs a build or an image", r.Name)
	case r.Build != nil && r.Image != "":
		return nil, fmt.Errorf("function %s: a container is of a build or of an image, not both", r.Name)
	case r.Build != nil:
		req = *r.Build
		if err := req.check(); err != nil {
			return nil, err
		}
	default:
		named, err := reference.ParseDockerRef(r.Image)
		if err != nil {
			return nil, fmt.Errorf("image %q: %w", r.Image, err)
		}
		if _, ok := named.(reference.Digested); !ok {
			return nil, fmt.Errorf("image %q: it has to have a digest", r.Image)
		}
		req.Credentials, req.Images, req.Registries = r.Credentials, []string{r.Image}, r.Registries
	}
	for name := range r.Secrets {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return nil, fmt.Errorf("secret %q: its name has to be that of a file", name)
		}
	}
	req.Name = cmp.Or(r.Name, req.Name)
	if r.Progress != nil {
		req.Progress = r.Progress
	}
	req.Output, req.Test, req.CacheTo = Output{}, "", nil
	req.Secrets = maps.Clone(req.Secrets)
	if req.Secrets == nil {
		req.Secrets = map[string][]byte{}
	}
	for name, value := range r.Secrets {
		req.Secrets[r.prefix+name] = value
	}
	return &req, nil
}

// Run starts a container and returns once its process has been started, which
// is before it listens. The container lives until its process ends, until
// [Running.Stop] or [Running.Close], or until the builder goes away; the end of
// ctx ends Run only. One of Stop and Close has to be called.
//
// The container has a network of its own with nothing but the loopback
// interface. User, working directory, environment and command are those of the
// image's configuration. The watchdog's healthcheck_interval is 1ms unless Env
// sets it: nobody has to learn first that the function is about to stop.
//
// Errors are those of [Client.Solve].
func (c *Client) Run(ctx context.Context, r RunRequest) (*Running, error) {
	again := c.runAgain(r)
	r.prefix = "fnb-run-" + rand.Text() + "/"
	req, err := r.request()
	if err != nil {
		return nil, err
	}
	if r.Platform != (schema.Platform{}) {
		req.Platforms = []schema.Platform{r.Platform}
	}
	own, err := c.DefaultPlatform(ctx)
	if err != nil {
		return nil, err
	}
	if len(req.Platforms) == 0 {
		req.Platforms = []schema.Platform{own}
	}
	req.Platforms = req.Platforms[:1]
	opt := client.SolveOpt{
		Internal: true, FrontendAttrs: map[string]string{}, CacheImports: cacheEntries(req.CacheFrom),
		SourcePolicy: policy(req.Bases), OCIStores: map[string]content.Store{}, LocalMounts: map[string]fsutil.FS{},
	}
	if err := attach(&opt, req); err != nil {
		return nil, err
	}
	// The build has the image's own watchdog, the tunnel the one that is mounted: the
	// machine's, also where the container is emulated.
	b := &build{req: req, configs: &c.configs}
	tunnel := &build{tunnel: true, req: &Request{Name: req.Name, Platforms: []schema.Platform{own}, Watchdog: r.Tunnel}}
	tunnel.serveWatchdog(&opt)
	if r.Build != nil {
		if err := b.prepare(ctx, &opt); err != nil {
			return nil, err
		}
	}
	return c.start(ctx, opt, &runner{RunRequest: &r, build: b, tunnel: tunnel, again: again})
}

// A runner makes one container inside of the gateway's build function.
type runner struct {
	*RunRequest
	build  *build
	tunnel *build
	again  func(context.Context) (int, bool)
}

// start calls the builder and waits for the container's process.
func (c *Client) start(ctx context.Context, opt client.SolveOpt, r *runner) (*Running, error) {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() { end(ctx.Err()) })
	defer unhook()
	run := c.newRunning(r.RunRequest, end)
	run.again = r.again
	w := newWatch(r.build.req)
	status := make(chan *client.SolveStatus)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		w.run(status)
	}()
	attended, leave := c.attend(life)
	go func() {
		_, err := c.c.Build(attended, opt, "fnb", func(ctx context.Context, g gw.Client) (*gw.Result, error) {
			return r.run(ctx, g, run)
		}, status)
		<-shown
		stopped := c.stopped(attended)
		leave()
		end(nil)
		if ue := (*UnreachableError)(nil); errors.As(err, &ue) {
			stopped = ue
		} else if err != nil && stopped == nil {
			stopped = run.explain(c.explain(err, w, false))
		}
		run.finish(stopped)
	}()
	select {
	case <-run.started:
		return run, nil
	case <-run.gone:
	}
	select {
	case <-run.started: // it was started, and has ended already
		return run, nil
	default:
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, cmp.Or(run.err, errors.New("the builder did not start the container"))
}

// run is the gateway's build function: it lasts as long as the container.
func (r *runner) run(ctx context.Context, g gw.Client, run *Running) (*gw.Result, error) {
	platform := ociPlatform(r.build.req.Platforms[0])
	var root, tunnel gw.Reference
	var config []byte
	eg, egctx := errgroup.WithContext(ctx)
	eg.Go(func() (err error) {
		root, config, err = r.image(egctx, g, platform)
		return err
	})
	eg.Go(func() (err error) {
		tunnel, err = r.program(egctx, g, ociPlatform(r.tunnel.req.Platforms[0]))
		return err
	})
	if err := eg.Wait(); err != nil {
		return nil, err
	}
	if root == nil {
		return nil, &SolveError{Problem: "the image is empty: there is nothing to run"}
	}
	if err := json.Unmarshal(config, &run.image); err != nil {
		return nil, fmt.Errorf("reading the image configuration: %w", err)
	}
	run.port = cmp.Or(r.Port, portOf(run.image.Config, r.Env))
	mounts := []gw.Mount{{Dest: "/", Ref: root, MountType: pb.MountType_BIND}}
	if tunnel != nil {
		mounts = append(mounts, gw.Mount{Dest: tunnelDir, Ref: tunnel, MountType: pb.MountType_BIND, Readonly: true})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Secrets)) {
		mounts = append(mounts, gw.Mount{
			Dest: secretsDir + "/" + name, MountType: pb.MountType_SECRET,
			SecretOpt: &pb.SecretOpt{ID: r.prefix + name, Mode: 0o444},
		})
	}
	ctr, err := g.NewContainer(ctx, gw.NewContainerRequest{
		Mounts: mounts, NetMode: pb.NetMode_NONE, Hostname: hostname(r.Name),
		Platform: &pb.Platform{OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant},
	})
	if err != nil {
		return nil, err
	}
	// Its error is that of a process that was killed.
	defer func() { _ = ctr.Release(context.WithoutCancel(ctx)) }()
	if err := run.begin(ctx, ctr, r.RunRequest); err != nil {
		return nil, err
	}
	return gw.NewResult(), run.wait(ctx, g)
}

// image makes or pulls the image, and returns its files and configuration.
func (r *runner) image(ctx context.Context, g gw.Client, p ocispecs.Platform) (gw.Reference, []byte, error) {
	if r.Image != "" {
		return r.pull(ctx, g, p)
	}
	img, err := r.build.platform(ctx, g, p)
	if err != nil || img.ref == nil {
		return nil, nil, err
	}
	config, err := patchConfig(img.config, r.build.req, img.layered)
	return img.ref, config, err
}

func (r *runner) pull(ctx context.Context, g gw.Client, p ocispecs.Platform) (gw.Reference, []byte, error) {
	named, err := reference.ParseDockerRef(r.Image)
	if err != nil {
		return nil, nil, err
	}
	_, _, config, err := g.ResolveImageConfig(ctx, named.String(), sourceresolver.Opt{
		LogName: "[internal] load metadata for " + named.String(), ImageOpt: &sourceresolver.ResolveImageOpt{Platform: &p},
	})
	if err != nil {
		return nil, nil, err
	}
	ref, err := solveState(ctx, g, p, llb.Image(named.String(), llb.Platform(p)))
	return ref, config, err
}

// program is the watchdog that is the tunnel; nil where there is none.
func (r *runner) program(ctx context.Context, g gw.Client, p ocispecs.Platform) (gw.Reference, error) {
	if r.Tunnel.Layout == nil && r.Tunnel.Reference == "" {
		return nil, nil
	}
	st, err := r.tunnel.watchdog(p, g.BuildOpts().LLBCaps)
	if err != nil {
		return nil, err
	}
	return solveState(ctx, g, p, st)
}

func solveState(ctx context.Context, g gw.Client, p ocispecs.Platform, st llb.State) (gw.Reference, error) {
	def, err := st.Marshal(ctx, llb.Platform(p), llb.WithCaps(g.BuildOpts().LLBCaps))
	if err != nil {
		return nil, err
	}
	res, err := g.Solve(ctx, gw.SolveRequest{Definition: def.ToPB(), Evaluate: true})
	if err != nil {
		return nil, err
	}
	return res.SingleRef()
}

// portOf is the port that an image's process listens on.
func portOf(c dockerspec.DockerOCIImageConfig, env map[string]string) int {
	for _, name := range []string{"port", "PORT"} {
		value, ok := env[name]
		if !ok {
			value = getEnv(c.Env, name)
		}
		if n, err := strconv.Atoi(value); err == nil && n > 0 {
			return n
		}
	}
	if _, ok := c.ExposedPorts["8080/tcp"]; ok || len(c.ExposedPorts) == 0 {
		return 8080
	}
	for _, p := range sortedKeys(c.ExposedPorts) {
		number, protocol, _ := strings.Cut(p, "/")
		if n, err := strconv.Atoi(number); err == nil && (protocol == "" || protocol == "tcp") {
			return n
		}
	}
	return 8080
}

// hostname is a function's name as far as it can be that of a host.
func hostname(name string) string {
	if name == "" || len(name) > 63 || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	}) {
		return ""
	}
	return name
}
