package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fnb/builder"
	"fnb/internal/plain"
	"fnb/packaging"
	"fnb/registry"
	"fnb/schema"
)

// buildOptions are the flags of fnb build.
type buildOptions struct {
	choice
	alone        lone
	parallel     int
	push         bool
	load         bool
	output       string
	platforms    []string
	tags         []string
	extraTags    []string
	rawArgs      []string
	buildOptions []string
	rawSecrets   []string
	rawSSH       []string
	rawLabels    []string
	noCache      bool
	pull         bool
	cacheFrom    []string
	cacheTo      []string
	cache        string
	copies       []string
	watchdog     string
	target       string
	test         bool
	frozen       bool
	contextOnly  string
	shrinkwrap   bool
	changedSince string
	noAccelerate bool
	reportFile   string
	insecure     []string
	noInputTag   bool
	why          bool
	outside      []string

	// Parsed from the above.
	buildArgs   map[string]string
	secrets     map[string][]byte
	secretFiles []string // that secrets were read from
	ssh         []builder.SSHAgent
	labels      map[string]string
	forced      schema.Platforms
	imports     []builder.Cache
	exports     []builder.Cache
	dest        destination
}

func (o *buildOptions) addFlags(f *pflag.FlagSet) {
	o.addInputFlags(f)
	o.choice.addFlags(f, "build")
	o.alone.addFlags(f)
	f.IntVar(&o.parallel, "parallel", runtime.NumCPU(), "build `N` functions at a time (default one a processor, four a builder of a fleet)")
	f.BoolVar(&o.push, "push", false, "push straight from the builder instead of keeping the image")
	f.BoolVar(&o.load, "load", false, "load the image into a Docker Engine")
	f.StringVarP(&o.output, "output", "o", "", "write the image to `DEST`: oci=FILE, docker=FILE or local=DIR")
	f.StringSliceVar(&o.platforms, "platform", nil, "build for `PLATFORMS`, such as linux/amd64,linux/arm64")
	f.StringArrayVar(&o.tags, "tag", nil, "tag the image by `RULE`: latest, sha, branch, describe, digest or a tag (repeatable)")
	f.StringArrayVar(&o.extraTags, "extra-tag", nil, "tag the image as the stack file says, and with `RULE` (repeatable)")
	f.BoolVar(&o.noCache, "no-cache", false, "run every step again")
	f.BoolVar(&o.pull, "pull", false, "ask the registries for newer base images, and move their pins")
	f.StringArrayVar(&o.cacheFrom, "cache-from", nil, "import build cache from `SPEC`: a reference, or type=TYPE,K=V,… (repeatable)")
	f.StringArrayVar(&o.cacheTo, "cache-to", nil, "export build cache to `SPEC` (repeatable)")
	f.StringVar(&o.cache, "cache", "", "share build cache through the registry: `MODE` auto, or read to write none")
	f.BoolVar(&o.test, "test", false, "also run the tests of the handler; a failing test fails the build")
	f.BoolVar(&o.frozen, "frozen", false, "fail unless fnb.lock covers everything")
	f.StringVar(&o.changedSince, "changed-since", "", "print the functions whose inputs differ from the git revision `REV`, and stop")
	f.StringVar(&o.contextOnly, "context-only", "", "write the build contexts below `DIR` and stop")
	f.BoolVar(&o.shrinkwrap, "shrinkwrap", false, "write the build contexts below the folder build and stop")
	_ = f.MarkHidden("shrinkwrap") // by faas-cli's word; it is there
	f.StringVar(&o.reportFile, "report", "", "write the build report to `FILE`")
	f.BoolVar(&o.why, "why", false, "say which inputs changed since a function's last build")
	f.BoolVar(&o.noInputTag, "no-input-tag", false, "with --push, do not tag the image with its input digest too")
}

// addInputFlags adds those flags that decide what an image is made of.
func (o *buildOptions) addInputFlags(f *pflag.FlagSet) {
	addOutsideFlag(f, &o.outside)
	f.StringArrayVarP(&o.rawArgs, "build-arg", "b", nil, "set the build arg `K=V` (repeatable)")
	f.StringArrayVar(&o.buildOptions, "build-option", nil, "add the packages of the template's option `NAME` (repeatable)")
	f.StringArrayVar(&o.rawSecrets, "secret", nil, "let RUN steps mount a secret: `id=ID,src=FILE` or id=ID,env=VAR (repeatable)")
	f.StringArrayVar(&o.rawSSH, "ssh", nil, "let RUN steps use the ssh agent `ID`: default, or ID=KEYFILE (repeatable)")
	f.StringArrayVar(&o.rawLabels, "label", nil, "set the label `K=V` on the image (repeatable)")
	f.StringArrayVar(&o.copies, "copy", nil, "copy `PATH` into every handler (repeatable)")
	f.StringVar(&o.watchdog, "watchdog", "", "layer in the watchdog of the image `REF`, or none")
	f.BoolVar(&o.noAccelerate, "no-accelerate", false, "build Dockerfiles as they are written, without cache mounts of fnb's")
	f.StringVar(&o.target, "target", "", "stop at the `STAGE` of the Dockerfile")
	f.StringSliceVar(&o.insecure, "insecure-registry", nil, "speak plain HTTP to the registry `HOST` (repeatable)")
}

func newBuild(g *globals) *cobra.Command {
	o := &buildOptions{}
	cmd := &cobra.Command{
		Use:   "build [FUNCTION…]",
		Short: "build functions into images",
		Long: `Build makes the images of the stack's functions, of those that are named, or of those that match --filter or --regex. It resolves each function's template, packages template and handler into a build context, has BuildKit solve it and layers in the watchdog.

An image goes to the local image store, from where fnb push sends it to a registry, unless --push, --load or --output says otherwise. For each function a line is printed: its name, the reference and the digest.

Without a stack file one function is built that --lang, --handler and --image describe.

Where there is an image of equal inputs already, nothing is built, and no builder is started: the image store is asked, and with --push the registry, for the reference and then for the tag that --push writes beside it, fnb-in- and the digest of the inputs. Inputs are the files of handler and template with their modes, build args and options, base images by digest, the watchdog, platforms, labels and what else decides an image; values of secrets and the commit are none, so that an image that is found keeps the revision it was built from. --why names the inputs that changed since a function's last build. --no-cache builds whatever there is.

The RUN steps of build stages that have no cache mounts get some for their toolchain, where the image's files stay the same; --context-only shows them.

Templates and base images that fnb.lock does not name yet are added to it; what it names is never changed, but for base images with --pull. With --frozen a missing or different entry is an error.

Several builders with commas between are a fleet, which shares the functions and their platforms. With --cache auto builders also share build cache, in the repository fnb-cache beside the functions' own; a cache that cannot be read or written fails no build.

Without --builder, FNB_BUILDER or BUILDKIT_HOST, fnb starts a builder of its own, which ends by itself when it is idle.`,
		Example:           "  # all functions of the stack file\n  fnb build\n\n  # one function, with its tests, for two platforms, straight to the registry\n  fnb build hello --test --platform linux/amd64,linux/arm64 --push\n\n  # what changed, and why it was built\n  fnb build --push --why\n\n  # on two builders, with build cache that they share\n  fnb build --push --cache auto --builder-tlsdir ~/certs --builder tcp://one:1234,tcp://two:1234",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(cmd.CommandPath()); err != nil {
				return err
			}
			if !cmd.Flags().Changed("parallel") {
				o.parallel = g.parallelism(o.parallel)
			}
			g.alone = o.alone
			if o.changedSince != "" {
				return g.runChanged(cmd.Context(), o, args)
			}
			return g.runBuild(cmd.Context(), o, args)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

// runBuild builds the functions that were named.
func (g *globals) runBuild(ctx context.Context, o *buildOptions, names []string) (err error) {
	start := time.Now()
	if err := g.withoutNetwork(o); err != nil {
		return err
	}
	p, fns, err := g.newPipeline(o, names, schema.BuildKeys())
	if err != nil {
		return err
	}
	defer p.close()
	jobs, err := p.jobs(ctx, fns)
	if err != nil {
		return err
	}
	if err := p.open(g, len(jobs)); err != nil {
		return err
	}
	for _, j := range jobs {
		j.progress = p.progress
	}
	err = p.run(ctx, jobs)
	for _, lost := range p.builder.retired() {
		fmt.Fprintf(g.err, "fnb: note: %s; the other builders went on without it\n", plain.Line(lost.Error()))
	}
	p.close()
	for _, name := range unreadArgs(jobs) {
		fmt.Fprintf(g.err, "fnb: note: --build-arg %s does nothing: no Dockerfile of these functions has an ARG %s\n", plain.Line(name), plain.Line(name))
	}
	if serr := p.stats.Save(); serr != nil {
		jobs[0].report.Warnings = append(jobs[0].report.Warnings, "the cache of file checksums was not written: "+serr.Error())
	}
	if lerr := p.writeLock(); lerr != nil {
		err = errors.Join(err, lerr)
	}
	return errors.Join(err, g.finish(jobs, o.reportFile, time.Since(start)))
}

// withoutNetwork refuses flags that --offline leaves no sense.
func (g *globals) withoutNetwork(o *buildOptions) error {
	if !g.offline {
		return nil
	}
	remote := func(c builder.Cache) bool { return c.Type != "local" }
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"--push", o.push},
		{"--pull", o.pull},
		{"--cache", o.cache != ""},
		{"--cache-from", slices.ContainsFunc(o.imports, remote)},
		{"--cache-to", slices.ContainsFunc(o.exports, remote)},
	} {
		if f.given {
			return usagef("fnb build", "--offline and %s exclude one another: one uses no network", f.name)
		}
	}
	return nil
}

// newPipeline reads the stack, chooses the functions that were named, and opens
// what a build or a push needs before it talks to anybody. The keys are those of the
// functions that the command uses.
func (g *globals) newPipeline(o *buildOptions, names, keys []string) (*pipeline, []schema.Function, error) {
	stack, err := g.readStack()
	if err != nil {
		return nil, nil, err
	}
	fns, err := choose(stack, names, o.choice)
	if err != nil {
		return nil, nil, err
	}
	if err := stack.Needs(fns, keys); err != nil {
		return nil, nil, err
	}
	p, err := g.pipelineOf(stack, o)
	if err == nil && slices.Contains(keys, "configuration") {
		err = missingHere(stack.CheckCopiesThere(p.reach))
	}
	return p, fns, err
}

// pipelineOf is a pipeline for the functions of a stack, which need not be in a file yet.
func (g *globals) pipelineOf(stack *schema.Stack, o *buildOptions) (*pipeline, error) {
	lock, err := schema.ReadLock(lockFile(stack.File))
	if err != nil {
		return nil, err
	}
	// Each function makes garbage that lives shortly, beside little that stays.
	debug.SetGCPercent(400)
	dir := filepath.Dir(stack.File)
	p := &pipeline{
		stack: stack, opts: o, offline: g.offline, pins: newPins(lock), git: &checkedOut{dir: dir},
		builder: &lazyBuilder{g: g},
		solving: make(chan struct{}, max(o.parallel, 1)),
		leaving: make(chan struct{}, deliveries*max(o.parallel, 1)),
	}
	p.hidden = sync.OnceValue(p.secretFiles)
	if p.reach, err = reach(stack.File, slices.Concat(o.outside, g.alone.paths())); err != nil {
		return nil, err
	}
	if p.epoch, err = epoch(); err != nil {
		return nil, err
	}
	cfg, err := readConfig()
	if err != nil {
		return nil, err
	}
	p.mirrors = mirrorsOf(cfg)
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	p.stats = packaging.OpenStatCache(filepath.Join(cache, "stats"), dir)
	p.records = records(filepath.Join(cache, "builds"))
	p.builder.memory = filepath.Join(cache, "builders")
	if p.store, err = g.newStore(); err != nil {
		return nil, err
	}
	p.openFaaS = g.ofOpenFaaS(stack)
	if p.registry, err = registry.New(registry.Options{Insecure: o.insecure, UserAgent: "fnb/" + fnbVersion()}); err != nil {
		return nil, err
	}
	return p, nil
}

// deliveries is how many images are under way to a registry for each function that is
// solved: most of that is waiting, and a builder sends a registry four blobs at a time.
const deliveries = 4

// lookahead is how many functions are compared with what there is while others
// are solved. It bounds memory, since each holds its list of files.
const lookahead = 16

// severalFunctions is how many functions can be shown with each of their steps.
const severalFunctions = 10

// run builds the jobs. One that fails does not stop the others, but a builder
// that cannot be reached does.
func (p *pipeline) run(ctx context.Context, jobs []*job) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p.builder.lost = stop
	err := each(ctx, jobs, p.opts.parallel+lookahead, p.build)
	if berr := p.builder.err(); berr != nil {
		return berr
	}
	return err
}

// open starts the display and opens the image store, as far as the build needs
// them.
func (p *pipeline) open(g *globals, functions int) (err error) {
	if p.opts.contextOnly != "" {
		return nil
	}
	if p.opts.dest.keep() {
		if p.images, err = openImages(); err != nil {
			return err
		}
	}
	p.unfold = g.ci.fold(g.err, fmt.Sprintf("fnb: building %d functions", functions))
	if functions > severalFunctions {
		p.progress, err = builder.NewOverview(g.err, g.progress, functions)
	} else {
		p.progress, err = builder.NewProgress(g.err, g.progress, functions > 1)
	}
	if err != nil {
		return usagef("fnb build", "%w", err)
	}
	return nil
}

// openImages opens the image store.
func openImages() (*registry.ImageStore, error) {
	dir, err := imagesDir()
	if err != nil {
		return nil, err
	}
	return registry.OpenImageStore(dir)
}

// close ends the display and the connection. It may be called twice.
func (p *pipeline) close() {
	if p.progress != nil {
		p.progress.Close()
	}
	if p.unfold != nil {
		p.unfold()
		p.unfold = nil
	}
	p.builder.close()
}

// writeLock adds new pins to fnb.lock, unless it is frozen.
func (p *pipeline) writeLock() error {
	if p.opts.frozen {
		return nil
	}
	return p.pins.write(lockFile(p.stack.File))
}

// finish prints the results and writes the report.
func (g *globals) finish(jobs []*job, reportFile string, took time.Duration) error {
	rep := schema.Report{Version: 1, Seconds: took.Seconds()}
	jobs = functions(jobs)
	for _, j := range jobs {
		rep.Functions = append(rep.Functions, *j.report)
		g.printWhy(j)
	}
	if !g.quiet {
		g.printNotes(jobs)
	}
	raw, err := rep.Marshal()
	if err != nil {
		return err
	}
	if err := g.ci.tell(rep, g.summary); err != nil {
		return err
	}
	if g.json {
		if err := g.writeJSON(raw); err != nil {
			return err
		}
	} else if err := printResults(g, jobs); err != nil {
		return err
	}
	if reportFile == "" {
		return nil
	}
	return schema.WriteFile(reportFile, raw, 0o644)
}

// printNotes prints what was noted of functions, each text once behind the names of those
// that it is about.
func (g *globals) printNotes(jobs []*job) {
	var texts []string
	about := map[string][]string{}
	for _, j := range jobs {
		for _, text := range j.report.Warnings {
			if about[text] == nil {
				texts = append(texts, text)
			}
			if !slices.Contains(about[text], j.fn.Name) {
				about[text] = append(about[text], j.fn.Name)
			}
		}
	}
	for _, text := range texts {
		names := about[text]
		if more := len(names) - namesInNote; more > 1 {
			names = append(names[:namesInNote:namesInNote], fmt.Sprintf("%d more", more))
		}
		fmt.Fprintf(g.err, "fnb: %s: note: %s\n", strings.Join(names, ", "), plain.Line(text))
	}
}

// namesInNote is how many names stand before a note at most.
const namesInNote = 3

// printResults prints a line for each function that worked.
func printResults(g *globals, jobs []*job) error {
	for _, j := range jobs {
		if j.report.Error != "" || j.report.Status == "" {
			continue
		}
		line := strings.TrimRight(strings.Join([]string{j.fn.Name, j.report.Reference, j.report.Digest}, " "), " ")
		if _, err := fmt.Fprintln(g.out, line); err != nil {
			return err
		}
	}
	return nil
}

// completeFunctions lists the stack's functions for the shell.
func (g *globals) completeFunctions(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if file, err := g.stackFile(); err == nil {
		if stack, err := schema.ReadStack(file, os.LookupEnv); err == nil {
			for _, fn := range stack.Functions {
				names = append(names, fn.Name)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
