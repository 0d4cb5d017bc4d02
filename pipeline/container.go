package pipeline

import (
	"cmp"
	"context"
	"maps"
	"time"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/packaging"
	"fnb/pipeline/debugger"
	"fnb/schema"
	"fnb/schema/words"
)

// ContainerOptions say how functions are run.
type ContainerOptions struct {
	Env     map[string]string // before the function's own
	Secrets map[string][]byte // that the function sees as files
	// Routes are what leads out of a function's container. It is asked before each start of
	// one; nil is none.
	Routes func(ctx context.Context, fn schema.Function) ([]containers.Route, error)
	// Unreached is told what a function looked for in vain, by each of its containers; nil is nobody.
	Unreached func(function string, what containers.Unreached)
}

// tried are the options with what the examples of a function need, where they do not
// say it themselves.
func (o ContainerOptions) tried(t *schema.Trial) ContainerOptions {
	if t == nil {
		return o
	}
	out := ContainerOptions{Env: maps.Clone(t.Environment), Secrets: t.SecretFiles(), Routes: o.Routes, Unreached: o.Unreached}
	if out.Env == nil {
		out.Env = map[string]string{}
	}
	maps.Copy(out.Env, o.Env)
	maps.Copy(out.Secrets, o.Secrets)
	return out
}

// Container is what a job's function is run with: resolved, packaged and planned now.
func (p *Pipeline) Container(ctx context.Context, j *Job, o ContainerOptions) (containers.Request, *Plan, error) {
	pl, err := p.Prepare(ctx, j)
	if err != nil {
		return containers.Request{}, pl, err
	}
	req, err := p.containerOf(pl, o)
	return req, pl, err
}

func (p *Pipeline) containerOf(pl *Plan, o ContainerOptions) (containers.Request, error) {
	env, err := pl.Job.Function.ReadEnvironment(p.Reach)
	if err != nil {
		return containers.Request{}, While("setting its environment", err)
	}
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, o.Env)
	if pl.context.Debugger {
		unhurried(env)
	}
	if err := p.readSecrets(pl); err != nil {
		return containers.Request{}, While(pl.doing(), err)
	}
	tunnel, err := packaging.Watchdog()
	if err != nil {
		return containers.Request{}, err
	}
	return containers.Request{
		Name: pl.Job.Function.Name, Build: &pl.req, Env: env, Secrets: pl.Job.Function.RunSecrets(o.Secrets),
		Tunnel: builder.Watchdog{Layout: tunnel.FS, Manifests: tunnel.Manifests},
	}, nil
}

// Lead adds ways out to those that there are.
func (o *ContainerOptions) Lead(more func(ctx context.Context, fn schema.Function) ([]containers.Route, error)) {
	before := o.Routes
	o.Routes = func(ctx context.Context, fn schema.Function) ([]containers.Route, error) {
		routes, err := more(ctx, fn)
		if err != nil || before == nil {
			return routes, err
		}
		others, err := before(ctx, fn)
		return append(others, routes...), err
	}
}

// Route gives a container that is about to be started its ways out.
func (o ContainerOptions) Route(ctx context.Context, req *containers.Request, fn schema.Function) (err error) {
	if o.Routes != nil {
		req.Routes, err = o.Routes(ctx, fn)
	}
	if o.Unreached != nil {
		req.Unreached = func(what containers.Unreached) { o.Unreached(fn.Name, what) }
	}
	return err
}

// Make has the builder make a job's image into its cache, from where it is run.
func (p *Pipeline) Make(ctx context.Context, j *Job, o ContainerOptions) error {
	req, pl, err := p.Container(ctx, j, o)
	if err != nil {
		return err
	}
	_, err = p.Machine.Solve(ctx, *req.Build)
	return While(pl.doing(), p.explained(ctx, pl, err))
}

// A Running is a function in a container.
type Running struct {
	*containers.Container
	check func(context.Context) error // makes what the template has made beside its images
}

// Start runs a job's function, whose logs go to what edit puts into the request.
func (p *Pipeline) Start(ctx context.Context, j *Job, o ContainerOptions, edit func(*containers.Request)) (*Running, error) {
	req, pl, err := p.Container(ctx, j, o)
	if err != nil {
		return nil, err
	}
	if err := o.Route(ctx, &req, j.Function); err != nil {
		return nil, While("running", err)
	}
	edit(&req)
	c, err := containers.Run(ctx, p.Machine, req)
	if err != nil {
		return nil, While(pl.doing(), p.explained(ctx, pl, err))
	}
	return &Running{c, func(ctx context.Context) error {
		if pl.req.Beside == "" {
			return nil
		}
		only := stageOf(&pl.req, pl.req.Beside)
		only.Platforms = only.Platforms[:min(1, len(only.Platforms))]
		_, err := p.Machine.Solve(ctx, only)
		return While(pl.doing(), p.explained(ctx, pl, err))
	}}, nil
}

// Ready is as that of the container. A function that cannot start has what its template checks checked, which
// knows more of why.
func (r *Running) Ready(ctx context.Context, limit time.Duration) error {
	err := r.Container.Ready(ctx, limit)
	if err == nil || ctx.Err() != nil {
		return While("running", err)
	}
	return cmp.Or(r.check(ctx), While("running", err))
}

// stageOf is a request for a stage alone.
func stageOf(req *builder.Request, target string) builder.Request {
	only := *req
	only.Target, only.Beside, only.Test, only.Watchdog, only.Config = target, "", "", builder.Watchdog{}, schema.ImageConfig{}
	return only
}

// Debugger is how a function is started under a debugger, as its template says; a
// [*debugger.NoneError] where it cannot be. If images are made for debuggers, that of such a
// function is as ever.
func (p *Pipeline) Debugger(ctx context.Context, fn schema.Function) (schema.Debug, error) {
	tmpl, err := p.resolve(ctx, fn)
	if err != nil {
		return schema.Debug{}, err
	}
	debug := tmpl.Template.Manifest.Debug
	switch {
	case debug == nil:
		return schema.Debug{}, &debugger.NoneError{Template: tmpl.Template.Name, Why: "its template.yml has no debug"}
	case words.WatchdogNone == cmp.Or(p.settings.Inputs.Watchdog, fn.Watchdog, tmpl.Template.Manifest.Watchdog):
		return schema.Debug{}, &debugger.NoneError{Template: tmpl.Template.Name, Why: "the function has no watchdog to start one"}
	}
	return *debug, nil
}

// unhurried are the timeouts of a function that may stand at a breakpoint, for as long as
// anybody looks at it. Watchdogs do not agree on what 0 is.
func unhurried(env map[string]string) {
	const week = "168h"
	for _, name := range []string{"exec_timeout", "read_timeout", "write_timeout"} {
		env[name] = week
	}
}
