package builder

import (
	"context"
	"errors"
	"os"
	"strconv"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"

	"fnb/builder/steps"
	"fnb/builder/watchdog"
	"fnb/internal/lazyregexp"
	"fnb/schema"
)

// A SessionRequest is what can be made in a [Session].
type SessionRequest struct {
	// Image is made by [Session.Make], for the first of its platforms; one without a
	// build context only lends its secrets and credentials.
	Image *Request
	// Watchdog is solved by itself, for a platform of its own, by [Session.Watchdog].
	Watchdog         Watchdog
	WatchdogPlatform schema.Platform
}

// A Session is one call of a builder, in which images are made without an export, and
// containers run.
type Session struct {
	// Gateway is BuildKit's own client, for as long as the session lasts.
	Gateway gw.Client

	image    *build
	watchdog watchdog.Layer
	beside   schema.Platform // of the watchdog
}

// Session has a builder call do, and returns when that has. Its errors are those of
// [Client.Solve].
func (c *Client) Session(ctx context.Context, r SessionRequest, do func(context.Context, *Session) error) error {
	opt := client.SolveOpt{
		Internal: true, FrontendAttrs: map[string]string{}, CacheImports: cacheEntries(r.Image.CacheFrom),
		SourcePolicy: policy(r.Image.Bases), OCIStores: map[string]content.Store{}, LocalMounts: map[string]fsutil.FS{},
	}
	image := &build{req: r.Image, configs: &c.configs, gate: r.Image.attend(&opt)}
	if err := image.trust(&opt, c.trusts); err != nil {
		return err
	}
	if err := attach(&opt, r.Image); err != nil {
		return err
	}
	s := &Session{image: image, watchdog: r.Watchdog, beside: r.WatchdogPlatform}
	r.Watchdog.Serve(&opt, watchdog.Tunnel, ociPlatform(r.WatchdogPlatform))
	if r.Image.Context != nil {
		if err := s.image.prepare(ctx, &opt); err != nil {
			return err
		}
	}
	w := newWatch(r.Image)
	status := make(chan *client.SolveStatus)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		w.run(status)
	}()
	attended, leave := c.watchSilence(ctx)
	defer leave()
	_, err := c.c.Build(attended, opt, "fnb", func(ctx context.Context, g gw.Client) (*gw.Result, error) {
		if err := image.gate.holds(c, g); err != nil {
			return nil, err
		}
		s.Gateway = g
		return gw.NewResult(), do(ctx, s)
	}, status)
	<-shown
	if denied := image.gate.explained(err); denied != err { //nolint:errorlint // it is either
		return denied
	}
	if ue := (*UnreachableError)(nil); errors.As(err, &ue) {
		return ue
	}
	if err == nil {
		return c.stopped(attended)
	}
	if err := c.stopped(attended); err != nil {
		return err
	}
	return c.explain(err, w, false)
}

// Make makes the session's image, and returns its files and its configuration. An empty
// image has no files: the reference is nil.
func (s *Session) Make(ctx context.Context) (gw.Reference, []byte, error) {
	img, err := s.image.image(ctx, s.Gateway, s.platform())
	if err == nil {
		err = s.image.make(ctx, s.Gateway, img)
	}
	if err != nil || img.ref == nil {
		return nil, nil, err
	}
	config, err := patchConfig(img.config, s.image.req, img)
	return img.ref, config, err
}

// Stage makes the session's image without a watchdog, and says what the last RUN step was run
// with; that has no Exec where there is none.
func (s *Session) Stage(ctx context.Context) (ref gw.Reference, config []byte, last steps.Step, err error) {
	p := s.platform()
	stage, err := s.image.describe(ctx, s.Gateway, p, s.image.req.Target)
	if err != nil {
		return nil, nil, last, err
	}
	def, err := s.image.define(ctx, s.Gateway, p, stage.state)
	if err == nil {
		ref, err = s.image.solve(ctx, s.Gateway, def)
	}
	if err != nil || ref == nil {
		return nil, nil, last, err
	}
	last, err = steps.Last(ctx, s.Gateway, def)
	return ref, stage.config, last, err
}

// Pull gets an image out of its registry, and returns its files and its configuration.
func (s *Session) Pull(ctx context.Context, image string) (gw.Reference, []byte, error) {
	named, err := schema.ParseImageRef(image)
	if err != nil {
		return nil, nil, err
	}
	full := named.Exact().String()
	p := s.platform()
	_, _, config, err := s.Gateway.ResolveImageConfig(ctx, full, sourceresolver.Opt{
		LogName: "[internal] load metadata for " + full, ImageOpt: &sourceresolver.ResolveImageOpt{Platform: &p},
	})
	if err != nil {
		return nil, nil, err
	}
	ref, err := s.solve(ctx, p, llb.Image(full, llb.Platform(p)))
	return ref, config, err
}

// FolderPath is where what [Session.Folder] returns has its folder.
const FolderPath = "/folder"

var numericUser = lazyregexp.New(`^(\d{1,9})(?::(\d{1,9}))?$`)

// Folder is an empty folder that the user of an image may write to: its own where it is a
// number, and everybody's where its name alone is known.
func (s *Session) Folder(ctx context.Context, user string) (gw.Reference, error) {
	mode, owner := os.FileMode(0o755), llb.WithUIDGID(0, 0)
	if m := numericUser.FindStringSubmatch(user); m != nil {
		uid, _ := strconv.Atoi(m[1])
		gid, _ := strconv.Atoi(m[2]) // none is root's
		owner = llb.WithUIDGID(uid, gid)
	} else if user != "" && user != "root" {
		mode = 0o777 | os.ModeSticky
	}
	return s.solve(ctx, s.platform(), llb.Scratch().File(llb.Mkdir(FolderPath, mode, owner)))
}

// Watchdog is the folder with the watchdog that the session was asked for.
func (s *Session) Watchdog(ctx context.Context) (gw.Reference, error) {
	p := ociPlatform(s.beside)
	st, err := s.watchdog.State(watchdog.Tunnel, p, s.Gateway.BuildOpts().LLBCaps)
	if err != nil {
		return nil, err
	}
	return s.solve(ctx, p, st)
}

func (s *Session) platform() ocispecs.Platform { return ociPlatform(s.image.req.Platforms[0]) }

func (s *Session) solve(ctx context.Context, p ocispecs.Platform, st llb.State) (gw.Reference, error) {
	def, err := st.Marshal(ctx, llb.Platform(p), llb.WithCaps(s.Gateway.BuildOpts().LLBCaps))
	if err != nil {
		return nil, err
	}
	res, err := s.Gateway.Solve(ctx, gw.SolveRequest{Definition: def.ToPB(), Evaluate: true})
	if err != nil {
		return nil, err
	}
	return res.SingleRef()
}
