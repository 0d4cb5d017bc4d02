package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fnb/builder"
	"fnb/internal/plain"
	"fnb/packaging"
	"fnb/schema"
	"fnb/templates"
)

// containerOptions are the flags of commands that run functions in the builder.
type containerOptions struct {
	buildOptions
	rawEnv  []string
	rawRun  []string
	timeout time.Duration
	env     map[string]string
	given   map[string][]byte // secrets of the function
}

func (o *containerOptions) addFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.rawEnv, "env", "e", nil, "set the variable `K=V` of the function (repeatable)")
	f.StringArrayVar(&o.rawRun, "secret", nil, "give the function a secret as a file in /var/openfaas/secrets: `id=NAME,src=FILE` or id=NAME,env=VAR (repeatable)")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "give the function `TIME` to begin to listen")
	f.StringArrayVarP(&o.rawArgs, "build-arg", "b", nil, "set the build arg `K=V` (repeatable)")
	f.StringArrayVar(&o.buildOptions.buildOptions, "build-option", nil, "add the packages of the template's option `NAME` (repeatable)")
	f.StringSliceVar(&o.platforms, "platform", nil, "build and run for `PLATFORM`")
	f.BoolVar(&o.frozen, "frozen", false, "fail unless fnb.lock covers everything")
	addOutsideFlag(f, &o.outside)
}

func (o *containerOptions) parse(command string) error {
	// Nothing is exported: the builder runs what is in its cache.
	o.parallel = runtime.NumCPU()
	if err := o.buildOptions.parse(command); err != nil {
		return err
	}
	o.dest = destination{kind: toContainer}
	var err error
	if o.env, err = keyValues(o.rawEnv, nil); err != nil {
		return usagef(command, "--env %w", err)
	}
	var files []string
	if o.given, files, err = readSecrets(o.rawRun); err != nil {
		return usagef(command, "--secret %w", err)
	}
	o.secretFiles = append(o.secretFiles, files...)
	return nil
}

// containers opens a pipeline for functions that are to be run.
func (g *globals) containers(ctx context.Context, o *containerOptions, names []string) (*pipeline, []*job, error) {
	p, fns, err := g.newPipeline(&o.buildOptions, names, schema.RunKeys())
	if err != nil {
		return nil, nil, err
	}
	jobs, err := p.jobs(ctx, fns)
	if err != nil {
		return nil, nil, err
	}
	return p, jobs, p.settle(ctx, g)
}

// settle connects to one builder, which makes the images and runs them: what it
// has made is in its cache.
func (p *pipeline) settle(ctx context.Context, g *globals) error {
	c, err := g.connect(ctx)
	if err != nil {
		return err
	}
	p.machine, p.builder.client = c, c
	return nil
}

// container is what a job's function is run with: resolved and packaged now.
func (p *pipeline) container(ctx context.Context, j *job, o *containerOptions) (builder.RunRequest, *templates.Template, error) {
	tmpl, err := p.resolve(ctx, j)
	if err != nil {
		return builder.RunRequest{}, nil, err
	}
	bc, err := p.pack(ctx, j, tmpl)
	if err != nil {
		return builder.RunRequest{}, nil, err
	}
	req, err := p.containerOf(ctx, j, tmpl, bc, o)
	return req, tmpl, err
}

func (p *pipeline) containerOf(ctx context.Context, j *job, tmpl *templates.Template, bc *packaging.Context, o *containerOptions) (builder.RunRequest, error) {
	j.doing = "setting its environment"
	env, err := j.fn.ReadEnvironment(p.reach)
	if err != nil {
		return builder.RunRequest{}, err
	}
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, o.env)
	pl, err := p.plan(ctx, j, tmpl, bc)
	if err != nil {
		return builder.RunRequest{}, err
	}
	tunnel, err := packaging.Watchdog()
	if err != nil {
		return builder.RunRequest{}, err
	}
	return builder.RunRequest{
		Name: j.fn.Name, Build: &pl.req, Env: env, Secrets: o.given,
		Tunnel: builder.Watchdog{Layout: tunnel.FS, Manifests: tunnel.Manifests},
	}, nil
}

// showing makes a display for what is built before functions run; it has to end
// before they write their logs.
func (g *globals) showing(p *pipeline, functions int) error {
	var err error
	p.progress, err = builder.NewProgress(g.err, g.progress, functions > 1)
	if err != nil {
		return usagef("fnb run", "%w", err)
	}
	return nil
}

// functionSocket is where fnb run takes the requests of fnb invoke for a
// function of a stack file.
func functionSocket(stackFile, name string) (string, error) {
	full, err := filepath.Abs(stackFile)
	if err != nil {
		return "", err
	}
	if resolved, err := filepath.EvalSymlinks(full); err == nil {
		full = resolved
	}
	return filepath.Join(filepath.Dir(socketFor("function\x00"+full+"\x00"+name)), "run.sock"), nil
}

// oneFunction allows at most one name.
func oneFunction(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef(cmd.CommandPath(), "takes one function, not %d", len(args))
	}
	return nil
}

// noteSecrets says which secrets the stack asks for and nobody gave.
func (g *globals) noteSecrets(mu *sync.Mutex, fn schema.Function, o *containerOptions) {
	for _, name := range fn.Secrets {
		if _, ok := o.given[name]; !ok && !g.quiet {
			g.say(mu, fn.Name, "note: the stack file names the secret %s, which was not given with --secret", name)
		}
	}
}

// say prints a line about a function.
func (g *globals) say(mu *sync.Mutex, name, format string, args ...any) {
	mu.Lock()
	defer mu.Unlock()
	fmt.Fprintf(g.err, "fnb: %s: %s\n", name, plain.Line(fmt.Sprintf(format, args...)))
}

// failing shows an error of one function while others go on.
func (g *globals) failing(mu *sync.Mutex, j *job, err error) {
	mu.Lock()
	defer mu.Unlock()
	show(g.err, &functionError{name: j.fn.Name, place: j.place, doing: j.doing, err: err})
}
