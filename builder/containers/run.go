package containers

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
	"time"

	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"fnb/builder"
	"fnb/builder/display"
	"fnb/internal/env"
	"fnb/schema"
)

// Where a container has what it was given.
const (
	secretsDir = "/var/openfaas/secrets"
	tunnelDir  = "/.fnb"
)

// A Request is a container to be started in the builder: of what Build
// makes, or of Image.
type Request struct {
	Name string // of the function; goes before the progress

	// Build is solved, mostly from the cache, and its result is run without an
	// export. Its Output, Test, Beside and CacheTo are left aside, and of several
	// Platforms the first counts unless Platform is set.
	Build *builder.Request
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

	// Tunnel is a watchdog whose command tunnel reaches into the container. It is
	// mounted beside the image's files, so that every image can be run.
	Tunnel builder.Watchdog
	// Routes lead out of the container, by the same watchdog. Nothing else does. The process
	// is started when they are there.
	Routes []Route
	// Unreached is told of each host that the container looked for in vain, each time; it may be nil.
	Unreached func(Unreached)

	Progress *display.Progress // of making or pulling the image; nil is that of Build
	// Access is to the registry of Image.
	builder.Access
	// Service is how the container runs otherwise than as its image says.
	Service Service
}

// A Service is how a container runs otherwise than as its image says: one that is no function's, or a function's as a platform
// runs it. The zero value is as the image says.
type Service struct {
	// User is a user, and after a colon a group, in place of the image's; "" is the image's.
	User string
	// ReadOnly lets the container write to an empty /tmp alone.
	ReadOnly bool

	// Command is run in place of the image's, behind its entrypoint.
	Command []string
	// Talk is a program that somebody talks to, in the place of the image's; nil is the
	// image's. It needs a tunnel, but in a stage.
	Talk *Talk
	// Keep says which folders have files that outlive the container, each with the name of
	// what the builder keeps them in; nil is none. It is called with the volumes of the image,
	// sorted. The container waits until no other one has what it names.
	Keep func(volumes []string) (map[string]string, error)
}

// request is the build that the container comes from; for an image it has no
// build context. Its names of the container's secrets begin with secrets.
func (r *Request) request(secrets string) (*builder.Request, error) {
	var req builder.Request
	switch {
	case r.Build == nil && r.Image == "":
		return nil, fmt.Errorf("function %s: a container needs a build or an image", r.Name)
	case r.Build != nil && r.Image != "":
		return nil, fmt.Errorf("function %s: a container is of a build or of an image, not both", r.Name)
	case r.Build != nil:
		req = *r.Build
		if err := req.Check(); err != nil {
			return nil, err
		}
	default:
		image, err := schema.ParseImageRef(r.Image)
		if err != nil {
			return nil, err
		}
		if image.Digest == "" {
			return nil, fmt.Errorf("image %q: it must have a digest", r.Image)
		}
		req.Access, req.Images = r.Access, []string{r.Image}
	}
	for name := range r.Secrets {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return nil, fmt.Errorf("secret %q: its name must be that of a file", name)
		}
	}
	if err := r.checkRoutes(); err != nil {
		return nil, err
	}
	req.Name = cmp.Or(r.Name, req.Name)
	if r.Progress != nil {
		req.Progress = r.Progress
	}
	req.Output, req.Test, req.Beside, req.CacheTo = builder.Output{}, "", "", nil
	req.Secrets = maps.Clone(req.Secrets)
	if req.Secrets == nil {
		req.Secrets = map[string][]byte{}
	}
	for name, value := range r.Secrets {
		req.Secrets[secrets+name] = value
	}
	if r.wantsNames() { // no secret, but it is mounted as they are: in no layer, and from memory
		req.Secrets[secrets+resolvPath] = []byte(resolvConf)
	}
	return &req, nil
}

// Run starts a container and returns once its process has been started, which
// is before it listens. The container lives until its process ends, until
// [Container.Stop] or [Container.Close], or until the builder goes away; the end of
// ctx ends Run only. One of Stop and Close has to be called.
//
// The container has a network of its own with nothing but the loopback
// interface. User, working directory, environment and command are those of the
// image's configuration. The watchdog's healthcheck_interval is 1ms unless Env
// sets it: nobody has to learn first that the function is about to stop.
//
// Errors are those of [builder.Client.Solve].
func Run(ctx context.Context, c *builder.Client, r Request) (*Container, error) {
	again := runAgain(c, r)
	// It keeps the container's secrets apart from those of its build: no step can name what
	// nobody knows before.
	secrets := "fnb-run-" + rand.Text() + "/"
	req, err := r.request(secrets)
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
	return (&runner{Request: &r, image: req, platform: own, again: again, secrets: secrets}).start(ctx, c)
}

// A runner makes one container inside of a session.
type runner struct {
	*Request
	image    *builder.Request
	platform schema.Platform // of the builder's machine, which runs the tunnel
	again    func(context.Context) (int, bool)
	secrets  string // what their names in the session begin with
}

// start calls the builder and waits for the container's process.
func (r *runner) start(ctx context.Context, c *builder.Client) (*Container, error) {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() { end(ctx.Err()) })
	defer unhook()
	run := newContainer(c.Address(), r.Request, end)
	run.again = r.again
	// The build has the image's own watchdog, the tunnel the one that is mounted: the
	// machine's, also where the container is emulated.
	session := builder.SessionRequest{Image: r.image, Watchdog: r.Tunnel, WatchdogPlatform: r.platform}
	// A builder that does not even let go of a session is left to itself: nobody waits for it.
	context.AfterFunc(life, func() {
		time.AfterFunc(2*closePatience, func() { run.finish(context.Cause(life)) })
	})
	go func() {
		err := c.Session(life, session, func(ctx context.Context, s *builder.Session) error {
			return r.run(ctx, s, run)
		})
		end(nil)
		run.finish(run.explain(err))
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

// run makes the container in a session, which lasts as long as that does.
func (r *runner) run(ctx context.Context, s *builder.Session, run *Container) error {
	if r.Service.Talk != nil && r.Service.Talk.Stage {
		return r.stage(ctx, s, run)
	}
	var root, tunnel gw.Reference
	var config []byte
	eg, egctx := errgroup.WithContext(ctx)
	eg.Go(func() (err error) {
		if r.Image != "" {
			root, config, err = s.Pull(egctx, r.Image)
		} else {
			root, config, err = s.Make(egctx)
		}
		return err
	})
	eg.Go(func() (err error) {
		if r.hasTunnel() {
			tunnel, err = s.Watchdog(egctx)
		}
		return err
	})
	if err := eg.Wait(); err != nil {
		return err
	}
	if root == nil {
		return &builder.SolveError{Problem: "the image is empty: there is nothing to run"}
	}
	if err := run.configure(config); err != nil {
		return err
	}
	run.port = cmp.Or(r.Port, portOf(run.image.Config, r.Env))
	kept, err := r.kept(ctx, s, run.image.Config)
	if err != nil {
		return err
	}
	if r.Service.ReadOnly {
		var folders []gw.Mount
		if root, folders, err = r.locked(ctx, s, root); err != nil {
			return err
		}
		kept = append(kept, folders...)
	}
	ctr, err := s.Gateway.NewContainer(ctx, gw.NewContainerRequest{
		Mounts: append(r.mounts(root, tunnel), kept...), NetMode: pb.NetMode_NONE, Hostname: hostname(r.Name), ExtraHosts: run.ways.hosts(),
		Platform: platformOf(r.image.Platforms[0]),
	})
	if err != nil {
		return err
	}
	// Its error is that of a process that was killed.
	defer func() {
		// A Docker Engine was seen that never answers: its process inside of the container did not end.
		released, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
		defer cancel()
		_ = ctr.Release(released)
	}()
	if r.Service.Talk != nil {
		err = run.attach(ctx, ctr, r.Request)
	} else {
		err = run.begin(ctx, ctr, r.Request)
	}
	if err != nil {
		return err
	}
	return run.wait(ctx, s.Gateway)
}

func platformOf(p schema.Platform) *pb.Platform {
	return &pb.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
}

// configure reads what an image says of how it is run.
func (r *Container) configure(config []byte) error {
	if err := json.Unmarshal(config, &r.image); err != nil {
		return fmt.Errorf("reading the image configuration: %w", err)
	}
	return nil
}

// mounts are the image's files, the tunnel, where names are known, and the secrets.
func (r *runner) mounts(root, tunnel gw.Reference) []gw.Mount {
	mounts := []gw.Mount{{Dest: "/", Ref: root, MountType: pb.MountType_BIND}}
	if tunnel != nil {
		mounts = append(mounts, gw.Mount{Dest: tunnelDir, Ref: tunnel, MountType: pb.MountType_BIND, Readonly: true})
	}
	secret := func(dest, name string) {
		mounts = append(mounts, gw.Mount{Dest: dest, MountType: pb.MountType_SECRET, SecretOpt: &pb.SecretOpt{ID: r.secrets + name, Mode: 0o444}})
	}
	if r.wantsNames() {
		secret(resolvPath, resolvPath)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Secrets)) {
		secret(secretsDir+"/"+name, name)
	}
	return mounts
}

// kept are the folders whose files outlive the container.
func (r *runner) kept(ctx context.Context, s *builder.Session, c dockerspec.DockerOCIImageConfig) ([]gw.Mount, error) {
	if r.Service.Keep == nil {
		return nil, nil
	}
	folders, err := r.Service.Keep(slices.Sorted(maps.Keys(c.Volumes)))
	if err != nil || len(folders) == 0 {
		return nil, err
	}
	empty, err := s.Folder(ctx, c.User)
	if err != nil {
		return nil, err
	}
	var mounts []gw.Mount
	for _, dest := range slices.Sorted(maps.Keys(folders)) {
		mounts = append(mounts, gw.Mount{
			Dest: dest, Ref: empty, Selector: builder.FolderPath, MountType: pb.MountType_CACHE,
			CacheOpt: &pb.CacheOpt{ID: folders[dest], Sharing: pb.CacheSharingOpt_LOCKED},
		})
	}
	return mounts, nil
}

// hasTunnel reports whether there is a watchdog that reaches into the container.
func (r *Request) hasTunnel() bool { return r.Tunnel.Layout != nil || r.Tunnel.Reference != "" }

// portOf is the port that an image's process listens on.
func portOf(c dockerspec.DockerOCIImageConfig, given map[string]string) int {
	for _, name := range []string{"port", "PORT"} {
		value, ok := given[name]
		if !ok {
			value = env.Get(c.Env, name)
		}
		if n, err := strconv.Atoi(value); err == nil && n > 0 {
			return n
		}
	}
	if _, ok := c.ExposedPorts["8080/tcp"]; ok || len(c.ExposedPorts) == 0 {
		return 8080
	}
	for _, p := range slices.Sorted(maps.Keys(c.ExposedPorts)) {
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
