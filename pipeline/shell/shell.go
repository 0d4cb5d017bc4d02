// Package shell lets people look around in the images of functions, and in the stages of their
// builds: [Open] starts a program there that they talk to.
package shell

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/pipeline"
	"fnb/schema"
	"fnb/templates"
)

// A MissingError is an image, or a stage, in which there is no shell.
type MissingError struct {
	Function string
	Stages   []string // others of its Dockerfile, of which some may have one
	Err      error
}

func (e *MissingError) Error() string { return e.Err.Error() }
func (e *MissingError) Unwrap() error { return e.Err }

// Options say where a program runs, and what it is given.
type Options struct {
	Container pipeline.ContainerOptions
	Stage     string // that the pipeline's settings name as the target; "" is the image, as it would run
	Talk      containers.Talk
}

// Open starts a program that somebody talks to, in a job's image or in a stage of its build. In
// the image it has the ways out that the options give the function.
// What edit puts into the request is where its output goes.
func Open(ctx context.Context, p *pipeline.Pipeline, j *pipeline.Job, o Options, edit func(*containers.Request)) (*containers.Container, error) {
	const doing = "opening a shell"
	req, _, err := p.Container(ctx, j, o.Container)
	if err != nil {
		return nil, err
	}
	req.Service.Talk = &o.Talk
	if o.Stage != "" {
		stage := *req.Build
		stage.Watchdog, stage.Config = builder.Watchdog{}, schema.ImageConfig{}
		req.Build, req.Env, req.Secrets, req.Service.Talk.Stage = &stage, o.Container.Env, nil, true
		req.Tunnel = builder.Watchdog{}
	} else if err := o.Container.Route(ctx, &req, j.Function); err != nil {
		return nil, pipeline.While(doing, err)
	}
	edit(&req)
	running, err := containers.Run(ctx, p.Machine, req)
	if none, ok := errors.AsType[*containers.NoShellError](err); ok {
		err = &MissingError{Function: j.Function.Name, Stages: stages(req.Build, o.Stage), Err: none}
	}
	return running, pipeline.While(doing, err)
}

// stages are the named ones of a Dockerfile, but for one.
func stages(b *builder.Request, but string) []string {
	file := b.Dockerfile
	if file == "" {
		file = "Dockerfile"
	}
	data, err := fs.ReadFile(b.Context, file)
	if err != nil {
		return nil
	}
	d, err := templates.ReadDockerfile(file, data, b.BuildArgs)
	if err != nil {
		return nil // it was built, so somebody else reads it
	}
	return slices.DeleteFunc(d.Summary().Stages, func(s string) bool { return s == "" || s == but })
}
