package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"fnb/builder"
	"fnb/builder/steps"
	"fnb/packaging"
	"fnb/pipeline/debugger"
	"fnb/policy"
	"fnb/schema"
	"fnb/schema/words"
)

// sumsFrom is the size of a build context, in files, that is worth telling the
// builder's client about.
const sumsFrom = 256

// A Plan is what the builder would be asked to make, and everything that decides
// what comes of it. One that came with an error has what was found until then.
type Plan struct {
	assembled
	Job      *Job
	Digest   string          // of the inputs
	req      builder.Request // without secrets, which are read when it is made
	inputs   packaging.Inputs
	unpinned string // why equal inputs need not be an equal image; "" where they are
	reason   Note   // why an image of equal inputs would not do; none where it would
	shared   string // reference of the build cache that functions share; "" without
	steps    string // SHA-256 of the Dockerfile
	own      bool   // the Dockerfile is the function's
}

// Packages say what the packages of the plan's function are installed from.
func (pl *Plan) Packages() packaging.Packages { return pl.context.Packages }

// doing says what is being done with a plan.
func (pl *Plan) doing() string {
	if len(pl.Job.Refs) == 0 {
		return "pinning"
	}
	return "building " + pl.Job.Refs[0].Text
}

// plan decides what the builder would be asked to make. The builder itself is only asked
// where the lock lacks a base image.
func (p *Pipeline) plan(ctx context.Context, j *Job, bc assembled) (*Plan, error) {
	pl := &Plan{assembled: bc, Job: j, own: bc.Template.Dockerfile.Path == ""}
	defer pl.clock("plan")()
	if err := p.decide(ctx, pl); err != nil {
		return pl, While(pl.doing(), err)
	}
	return pl, nil
}

func (p *Pipeline) decide(ctx context.Context, pl *Plan) (err error) {
	fn, tmpl, bc := pl.Job.Function, pl.Template, pl.context
	in := &p.settings.Inputs
	pl.req = builder.Request{
		Name: fn.Name, Affinity: tmpl.Name + "@" + pl.Pin.Checksum, Context: bc.FS, Config: bc.Config, Epoch: in.Epoch, Progress: p.Progress,
		Recipe: builder.Recipe{
			Dockerfile: bc.Dockerfile.File, BuildArgs: bc.BuildArgs, Target: bc.Target, Beside: bc.Check, NoCache: p.settings.NoCache, Pull: p.settings.Pinning.Pull,
			CacheMounts: p.cacheMounts(pl), Base: bc.Dockerfile.Base(bc.Target), Images: imagesOf(bc), Handler: tmpl.Handler.Folder,
		},
		Inputs: builder.Inputs{SSH: in.SSH, Proxy: p.Proxy, Authorities: slices.Concat(p.Authorities, p.settings.Authorities)},
		Access: p.access(policy.KindBase),
	}
	req := &pl.req
	if pl.own {
		req.Handler = "."
	}
	for _, l := range tmpl.Packages.Lists {
		req.Lists = append(append(req.Lists, l.Manifest, l.Lock), slices.Collect(maps.Values(l.Locks))...)
	}
	if failed := p.Failed; failed != nil {
		req.Failed = func(ctx context.Context, f *steps.Failure) { failed(ctx, fn.Name, f) }
	}
	if len(bc.Files) > sumsFrom {
		req.Sums = make(map[string]string, len(bc.Files))
		for _, f := range bc.Files {
			req.Sums[f.Path] = f.Sum
		}
	}
	if kind := p.settings.Destination.Kind; bc.Debugger && (kind == ToRegistry || kind == ToStore) {
		return debugger.ErrKept
	}
	if req.Platforms, err = p.platformsOf(ctx, fn); err != nil {
		return err
	}
	if p.settings.Test && !p.settings.CompareOnly {
		if req.Test = testTarget(fn, tmpl); req.Test == "" {
			return &NoTestsError{Template: tmpl.Name}
		}
	}
	req.Config.Labels[words.LabelCreated] = time.Unix(p.created(), 0).UTC().Format(time.RFC3339)
	maps.Copy(req.Config.Labels, p.settings.Inputs.Labels)
	sum := sha256.Sum256(bc.Dockerfile.Data)
	pl.steps = hex.EncodeToString(sum[:])
	if err := p.pin(ctx, pl); err != nil {
		return err
	}
	if pl.inputs, err = bc.Inputs(p.inputSettings(pl)); err != nil {
		return err
	}
	pl.Digest = pl.inputs.Digest()
	pl.reason = p.mustSolve(pl)
	p.caches(pl)
	return nil
}

// pin holds what the image is made of against the lock, and adds what that lacks.
func (p *Pipeline) pin(ctx context.Context, pl *Plan) (err error) {
	defer func() { pl.Notes = append(pl.Notes, notesOf(p.allow.Notes())...) }()
	if err := p.allow.Build(ctx, pl.context.Watchdog, imagesOf(pl.context)); err != nil {
		return err
	}
	if pl.req.Bases, pl.unpinned, err = p.pinBases(ctx, pl.req, pl.context); err != nil {
		return err
	}
	if pl.req.Watchdog, err = watchdogOf(pl.context); err != nil {
		return err
	}
	floating, notes, err := p.pinWatchdog(ctx, &pl.req, pl.context.Watchdog)
	pl.Notes = append(pl.Notes, notes...)
	pl.unpinned = strings.Join(slices.DeleteFunc([]string{pl.unpinned, floating}, func(s string) bool { return s == "" }), ", ")
	return err
}

// created is the time of images, in Unix seconds.
func (p *Pipeline) created() int64 {
	if p.settings.Inputs.Epoch != nil {
		return *p.settings.Inputs.Epoch
	}
	return builder.DefaultEpoch
}

// cacheMounts says with which functions one shares the caches that RUN steps mount:
// those of its template, of whichever version, on the same base images. What another
// base image's package manager has built may not work here, and what another template
// has put there is not to be trusted. A build without cache empties them.
func (p *Pipeline) cacheMounts(pl *Plan) string {
	bases := slices.Sorted(slices.Values(pl.context.Dockerfile.Summary().Bases))
	sharing := append([]string{pl.Pin.Store, pl.Template.Name}, bases...)
	if p.settings.Inputs.Apart {
		sharing = append(sharing, pl.Job.Refs[0].Text)
	}
	h := sha256.New()
	for _, s := range sharing {
		fmt.Fprintf(h, "%q\n", s)
	}
	return "fnb-" + hex.EncodeToString(h.Sum(nil)[:8])
}

// inputSettings are what decides an image beside its build context.
func (p *Pipeline) inputSettings(pl *Plan) packaging.Settings {
	secrets := slices.AppendSeq(slices.Collect(maps.Keys(pl.context.Secrets)), maps.Keys(pl.Job.Function.GivenSecrets(p.settings.Inputs.Secrets, p.settings.Destination.Secrets)))
	slices.Sort(secrets)
	req := &pl.req
	s := packaging.Settings{
		Platforms: req.Platforms, Target: req.Target, Bases: req.Bases, Labels: req.Config.Labels,
		Secrets: slices.Compact(secrets), Epoch: p.created(),
	}
	for _, agent := range req.SSH {
		s.SSH = append(s.SSH, agent.ID)
	}
	return s
}

// describeSource adds the labels that are no inputs: where the source is, its
// revision, and the digest of the inputs. An image of equal inputs that is there
// already keeps those it has.
func (p *Pipeline) describeSource(ctx context.Context, req *builder.Request, input string) (notes []Note) {
	source := p.settings.Inputs.Source
	if source == nil {
		var text string
		if source, text = p.revisionLabels(ctx); text != "" {
			notes = []Note{{Text: text}}
		}
	}
	for k, v := range source {
		if _, given := p.settings.Inputs.Labels[k]; !given {
			req.Config.Labels[k] = v
		}
	}
	req.Config.Labels[words.LabelInput] = input
	return notes
}

// platformsOf are the platforms to build for: those of the command line, of the
// stack, or else the builder's own.
func (p *Pipeline) platformsOf(ctx context.Context, fn schema.Function) ([]schema.Platform, error) {
	switch {
	case len(p.settings.Inputs.Platforms) > 0:
		return p.settings.Inputs.Platforms, nil
	case len(fn.Platforms) > 0:
		return fn.Platforms, nil
	case p.settings.CompareOnly:
		return nil, nil
	}
	own, err := p.Builder.Platform(ctx)
	return []schema.Platform{own}, err
}

// readSecrets gives a plan the function's secrets; those of the command line win.
func (p *Pipeline) readSecrets(pl *Plan) error {
	pl.req.Secrets = map[string][]byte{}
	for id, file := range pl.context.Secrets {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading the build secret %s: %w", id, err)
		}
		pl.req.Secrets[id] = data
	}
	maps.Copy(pl.req.Secrets, pl.Job.Function.GivenSecrets(p.settings.Inputs.Secrets, p.settings.Destination.Secrets))
	return nil
}

func watchdogOf(bc *packaging.Context) (builder.Watchdog, error) {
	switch bc.Watchdog {
	case "":
		return builder.Watchdog{}, nil
	case words.WatchdogDefault:
		w, err := packaging.Watchdog()
		if err != nil {
			return builder.Watchdog{}, err
		}
		return builder.Watchdog{Layout: w.FS, Manifests: w.Manifests}, nil
	}
	return builder.Watchdog{Reference: bc.Watchdog}, nil
}
