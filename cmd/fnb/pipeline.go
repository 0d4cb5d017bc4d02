package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"fnb/builder"
	"fnb/internal/plain"
	"fnb/packaging"
	"fnb/registry"
	"fnb/schema"
	"fnb/store"
	"fnb/templates"
)

// A pipeline carries functions through the house. Its fields do not change
// while functions are under way, but for those that guard themselves and what mu
// guards.
type pipeline struct {
	stack    *schema.Stack
	reach    schema.Reach // of the stack's paths
	opts     *buildOptions
	offline  bool
	store    *store.Store
	builder  *lazyBuilder
	machine  *builder.Client // runs containers; nil where none are run
	images   *registry.ImageStore
	registry *registry.Client
	progress *builder.Progress
	unfold   func()               // ends the folded part of a CI system's log; may be nil
	stats    *packaging.StatCache // nil reads every file
	pins     *pins
	records  records
	turns    turns
	solving  chan struct{} // holds one for each function that is being solved
	leaving  chan struct{} // holds one for each image that is being delivered
	git      *checkedOut
	hidden   func() packaging.Hidden // looked up once
	openFaaS bool                    // names of OpenFaaS's template store are found
	upgrade  bool                    // pins of watchdogs are moved too
	mirrors  []string                // hosts that builders ask in the place of registries
	source   map[string]string       // labels for the source in the place of git's; nil is git's
	apart    bool                    // cache mounts are not shared with builds
	epoch    *int64                  // of images, Unix seconds; nil is builder.DefaultEpoch

	langs   sync.Map // *sync.Mutex by template reference, held while it is resolved
	silent  sync.Map // hosts of registries that do not answer
	claimed sync.Map // references of shared caches that somebody writes in this run

	mu       sync.Mutex
	resolved map[string]*resolution
	pushes   map[string]permission // by repository
}

// A job is one function on its way.
type job struct {
	fn     schema.Function
	place  place
	refs   []string          // the references of its image
	also   []schema.Function // that have the same image
	report *schema.FunctionReport
	doing  string
	why    []string          // what --why says
	unread []string          // build args of the command line that its Dockerfile does not declare
	was    map[string]string // annotations of the image that has the first reference
	ahead  chan answer       // what the registry says to the first reference; nil where it is not asked yet

	progress *builder.Progress   // nil shows nothing
	template *templates.Template // once its pins are known
	began    time.Time
}

// build is the sentence: resolve the function's template, package template and
// handler into a build context, solve it into an image with the watchdog
// layered in, and push or keep the image, unless there is one of equal inputs.
// What came out is recorded in the job's report.
func (p *pipeline) build(ctx context.Context, j *job) error {
	p.askAhead(ctx, j)
	tmpl, err := p.resolve(ctx, j)
	if err != nil {
		return err
	}
	bc, err := p.pack(ctx, j, tmpl)
	if err != nil {
		return err
	}
	if p.opts.contextOnly != "" {
		return p.writeContext(ctx, j, bc)
	}
	pl, err := p.plan(ctx, j, tmpl, bc)
	if err != nil {
		return err
	}
	reused, err := p.reuse(ctx, j, pl)
	if err != nil {
		return err
	}
	if !reused {
		img, err := p.solve(ctx, j, pl)
		if err != nil {
			return err
		}
		if err := p.keep(ctx, j, pl, img); err != nil {
			return err
		}
	}
	p.record(j, pl)
	return nil
}

// A resolution is a template that functions share.
type resolution struct {
	done  chan struct{} // closed when what follows is there
	tmpl  *templates.Template
	pin   schema.Pin
	notes []string
	err   error
}

// resolve finds the function's template, once for all functions that want it.
func (p *pipeline) resolve(ctx context.Context, j *job) (*templates.Template, error) {
	defer j.clock("resolve")()
	j.doing = "checking its paths"
	if err := p.checkPaths(j.fn); err != nil {
		return nil, err
	}
	if err := p.checkThere(j.fn); err != nil {
		return nil, err
	}
	j.doing = "resolving template " + j.fn.Lang
	key := fmt.Sprint(j.fn.Lang, " ", j.fn.Platforms)
	p.mu.Lock()
	r, known := p.resolved[key]
	if !known {
		r = &resolution{done: make(chan struct{})}
		if p.resolved == nil {
			p.resolved = map[string]*resolution{}
		}
		p.resolved[key] = r
	}
	p.mu.Unlock()
	if !known {
		r.tmpl, r.pin, r.notes, r.err = p.find(ctx, j.fn)
		close(r.done)
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r.err != nil {
		return nil, r.err
	}
	pin := r.pin
	j.report.Pin = &pin
	j.report.Warnings = append(j.report.Warnings, r.notes...)
	return r.tmpl, nil
}

// where says what the stack and a lock mean for templates.
func (p *pipeline) where(lock *schema.Lock) store.Where {
	return store.Where{Root: p.reach.Root, Allow: p.reach.Allow, Sources: p.stack.Configuration.Templates, Lock: lock, OpenFaaS: p.openFaaS}
}

// find looks a template up, and pins it where it is not.
func (p *pipeline) find(ctx context.Context, fn schema.Function) (*templates.Template, schema.Pin, []string, error) {
	one, _ := p.langs.LoadOrStore(fn.Lang, &sync.Mutex{})
	if mu, ok := one.(*sync.Mutex); ok {
		mu.Lock()
		defer mu.Unlock()
	}
	where := p.where(p.pins.lock())
	where.Frozen, where.Platforms = p.opts.frozen, fn.Platforms
	tmpl, pin, notes, err := p.store.Resolve(ctx, fn.Lang, where)
	if err != nil {
		return nil, pin, notes, ofTemplate(err)
	}
	if p.pins.addTemplate(fn.Lang, pin) {
		if err := p.store.Keep(ctx, tmpl); err != nil { // for fnb update, later
			notes = append(notes, err.Error())
		}
	}
	return tmpl, pin, notes, nil
}

func (p *pipeline) pack(ctx context.Context, j *job, tmpl *templates.Template) (*packaging.Context, error) {
	j.doing = "packaging " + j.fn.Handler
	defer j.clock("package")()
	bc, err := packaging.Assemble(ctx, packaging.Input{
		Function: p.ownSecrets(p.titled(j.fn)), Template: tmpl, Root: p.reach.Root, Allow: p.reach.Allow,
		Copy:         slices.Concat(p.stack.Configuration.Copy, p.opts.copies),
		BuildOptions: p.opts.buildOptions, BuildArgs: p.opts.buildArgs, Watchdog: p.opts.watchdog,
		Target: p.opts.target, NoAccelerate: p.opts.noAccelerate, Hidden: p.hidden(),
		AbsentSecrets: p.opts.changedSince != "", Stats: p.stats,
	})
	if err != nil {
		return nil, err
	}
	j.report.Warnings = append(j.report.Warnings, bc.Notes...)
	j.unread = bc.Unread
	return bc, nil
}

// unreadArgs are the build args of the command line that no Dockerfile of the jobs
// declares.
func unreadArgs(jobs []*job) []string {
	unread := jobs[0].unread
	for _, j := range jobs[1:] {
		unread = slices.DeleteFunc(slices.Clone(unread), func(name string) bool { return !slices.Contains(j.unread, name) })
	}
	return unread
}

// secretFiles are the files with secrets of the command line and of all functions:
// what one of them keeps out of its image, no other one may have either.
func (p *pipeline) secretFiles() packaging.Hidden {
	files := slices.Clone(p.opts.secretFiles)
	for _, fn := range p.stack.Functions {
		files = slices.AppendSeq(files, maps.Values(fn.BuildSecrets))
	}
	return packaging.Hide(filepath.Dir(p.stack.File), files)
}

func (p *pipeline) writeContext(ctx context.Context, j *job, bc *packaging.Context) error {
	dir := filepath.Join(p.opts.contextOnly, j.fn.Name)
	if err := p.outside(j.fn, dir); err != nil {
		return err
	}
	j.doing = "writing the build context to " + dir
	j.report.Status = "context"
	j.report.Reference = dir
	j.report.Warnings = append(j.report.Warnings, bc.Details...)
	err := packaging.WriteDir(ctx, bc.FS, dir)
	if is[*fs.PathError](err) {
		err = hint(err, "remove what is there first: rm -r "+dir)
	}
	return err
}

// outside refuses a folder inside of a handler, which would be part of its next image.
func (p *pipeline) outside(fn schema.Function, dir string) error {
	at, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	handler, err := filepath.Abs(filepath.Join(filepath.Dir(p.stack.File), fn.Handler))
	if err != nil {
		return err
	}
	if below, err := filepath.Rel(handler, at); err == nil && filepath.IsLocal(below) {
		return fmt.Errorf("writing to %s: it is inside the handler %s, whose image would have it next time", dir, fn.Handler)
	}
	return nil
}

// solve has the builder make the image, once it is the function's turn.
func (p *pipeline) solve(ctx context.Context, j *job, pl *plan) (*builder.Result, error) {
	j.doing = "building " + j.refs[0]
	waited := j.clock("wait")
	solved, err := enter(ctx, p.solving)
	if err != nil {
		return nil, err
	}
	defer solved()
	waited()
	b, err := p.builder.get(ctx)
	if err != nil {
		return nil, err
	}
	defer j.clock("solve")()
	p.describeSource(ctx, j, &pl.req, pl.digest)
	if p.images != nil {
		release, err := p.images.Hold(ctx) // nobody prunes what the builder is writing
		if err != nil {
			return nil, err
		}
		defer release()
	}
	pl.req.Turn = p.turn(j, pl, solved)
	exported := p.claimCache(pl)
	img, err := p.whileAllowed(ctx, j, func(ctx context.Context) (*builder.Result, error) {
		return p.deliver(ctx, b, j, pl.req)
	})
	exported(err)
	if err != nil {
		if is[*builder.FleetError](err) {
			p.builder.giveUp(err)
		}
		return nil, err
	}
	j.report.Warnings = append(j.report.Warnings, p.notable(img.Warnings)...)
	if pl.own || isHere(j.report.Pin.Store) { // else it is nothing that its user could mend
		j.report.Warnings = append(j.report.Warnings, img.Lints...)
	}
	if j.report.Builders = img.Builders; len(img.Builders) > 1 && len(p.opts.exports) > 0 {
		j.report.Warnings = append(j.report.Warnings, "its platforms were built apart, so each but the first has a build cache of its own, with the platform behind its name")
	}
	j.report.Digest, j.report.Context, j.report.Sent = img.Digest, img.Sent, img.Pushed
	j.report.Status = "built"
	if img.CachedPart == 1 {
		j.report.Status, j.report.Cached = "cached", true
	}
	if p.images != nil {
		err = p.name(ctx, j, pl, img)
	}
	return img, err
}

// isHere reports whether a pin is of a template in a folder, as those are that somebody
// writes.
func isHere(store string) bool { return strings.HasPrefix(store, ".") || filepath.IsAbs(store) }

// deliver solves, and lets what receives the image keep it only when it is
// whole.
func (p *pipeline) deliver(ctx context.Context, b solver, j *job, req builder.Request) (*builder.Result, error) {
	out, t, err := p.output(ctx, j)
	if err != nil {
		return nil, err
	}
	req.Output = out
	img, err := b.Solve(ctx, req)
	if err == nil && img.Index != nil {
		err = p.registry.PutIndex(ctx, types.MediaType(img.MediaType), img.Index, j.refs...)
	}
	if t == nil {
		return img, err
	}
	if err != nil {
		return nil, t.discard(err)
	}
	return img, t.commit()
}

// name lets the image store know the image under its references, and as that of
// its inputs where these decide what it is.
func (p *pipeline) name(ctx context.Context, j *job, pl *plan, img *builder.Result) error {
	desc, err := descriptor(img)
	if err != nil {
		return err
	}
	if pl.unpinned == "" {
		desc.Annotations = map[string]string{schema.InputLabel: pl.digest}
	}
	for _, ref := range j.refs {
		if err := p.images.Put(ctx, ref, desc); err != nil {
			return err
		}
	}
	j.report.Platforms, err = p.platforms(ctx, desc)
	return err
}

// descriptor is an image's, as the builder says it.
func descriptor(img *builder.Result) (v1.Descriptor, error) {
	h, err := v1.NewHash(img.Digest)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("the builder's digest %q: %w", img.Digest, err)
	}
	return v1.Descriptor{MediaType: types.MediaType(img.MediaType), Size: img.Size, Digest: h}, nil
}

// platforms says what the image of each platform is.
func (p *pipeline) platforms(ctx context.Context, desc v1.Descriptor) ([]schema.PlatformReport, error) {
	images, err := p.images.Platforms(ctx, desc)
	if err != nil {
		return nil, err
	}
	var out []schema.PlatformReport
	for _, d := range images {
		img, err := p.images.Image(d)
		if err != nil {
			return nil, err
		}
		m, err := img.Manifest()
		if err != nil {
			return nil, err
		}
		r := schema.PlatformReport{Digest: d.Digest.String()}
		if d.Platform != nil {
			r.Platform = schema.Platform{OS: d.Platform.OS, Architecture: d.Platform.Architecture, Variant: d.Platform.Variant}.String()
		}
		for _, l := range m.Layers {
			r.Size += l.Size
		}
		out = append(out, r)
	}
	return out, nil
}

// keep does what is left to do with an image once it is made.
func (p *pipeline) keep(ctx context.Context, j *job, pl *plan, img *builder.Result) error {
	j.report.Reference = j.refs[0]
	j.report.Tags = j.refs
	if p.opts.push {
		j.report.Status = "pushed"
		for _, pl := range img.Platforms {
			j.report.Platforms = append(j.report.Platforms, schema.PlatformReport{Platform: pl.String()})
		}
		return p.tagInputs(ctx, j, pl, img)
	}
	return nil
}

// finish notes how a job ended, and shows it.
func (j *job) finish(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		j.report.Status, j.report.Error = "failed", oneLine(err)
	}
	if j.progress != nil && j.report.Status != "" {
		j.progress.Result(j.fn.Name, builder.Outcome{Status: j.report.Status, Reason: j.report.Reason, Digest: j.report.Digest, Error: j.report.Error, Took: time.Since(j.began)})
	}
}

// clock measures a phase of a job, in seconds.
func (j *job) clock(phase string) func() {
	start := time.Now()
	return func() {
		if j.report.Seconds == nil {
			j.report.Seconds = map[string]float64{}
		}
		j.report.Seconds[phase] = time.Since(start).Seconds()
	}
}

// each runs do for the jobs, at most limit at a time. One that fails does not
// stop the others; all failures come back together, in the jobs' order. When
// ctx ends, its error comes back alone.
func each(ctx context.Context, jobs []*job, limit int, do func(context.Context, *job) error) error {
	errs := make([]error, len(jobs))
	var eg errgroup.Group
	eg.SetLimit(limit)
	for i, j := range jobs {
		eg.Go(func() error {
			if ctx.Err() == nil {
				j.began = time.Now()
				errs[i] = do(ctx, j)
				j.finish(ctx, errs[i])
			}
			return nil
		})
	}
	_ = eg.Wait() // the errors are in errs
	if ctx.Err() != nil {
		return ctx.Err()
	}
	run := &runError{all: len(jobs)}
	for i, j := range jobs {
		run.all += len(j.also)
		if errs[i] == nil {
			continue
		}
		f := &functionError{name: j.fn.Name, place: j.place, doing: j.doing, err: errs[i]}
		for _, fn := range j.also {
			f.also = append(f.also, fn.Name)
		}
		run.failed = append(run.failed, f)
	}
	if len(run.failed) > 0 {
		return run
	}
	return nil
}

func oneLine(err error) string {
	var se *builder.SolveError
	if errors.As(err, &se) {
		return plain.Line(se.Error())
	}
	return plain.Line(err.Error())
}
