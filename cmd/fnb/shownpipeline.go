package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"fnb/builder/display"
	"fnb/builder/fleet"
	"fnb/internal/plain"
	"fnb/internal/start"
	"fnb/pipeline"
	"fnb/schema"
	"fnb/trust"
)

// wanted is what a command wants of a stack.
type wanted struct {
	settings pipeline.Settings
	insecure []string // registries that are spoken to in plain HTTP
	choice   choice
	names    []string       // of functions
	keys     []string       // of functions, that the command uses
	failures *failureShells // nil opens none
	signer   *trust.Signer  // of what is pushed; nil signs nothing
}

// A shownPipeline is a pipeline with what a command shows of it.
type shownPipeline struct {
	*pipeline.Pipeline
	unfold   func() // ends the folded part of a CI system's log; may be nil
	settings pipeline.Settings
}

// newPipeline reads the stack, chooses the functions that were named, and opens
// what a build or a push needs before it talks to anybody.
func (g *globals) newPipeline(want wanted) (*shownPipeline, []schema.Function, error) {
	stack, err := g.readStack()
	if err != nil {
		return nil, nil, err
	}
	fns, err := chooseFunctions(stack, want.names, want.choice)
	if err != nil {
		return nil, nil, err
	}
	if err := stack.Needs(fns, want.keys); err != nil {
		return nil, nil, err
	}
	start.Work() // each function makes garbage that lives shortly
	p, err := g.pipelineOf(stack, want)
	if err == nil && slices.Contains(want.keys, "configuration") {
		err = stack.CheckCopiesThere(p.Reach)
	}
	return p, fns, err
}

// pipelineOf is a pipeline for the functions of a stack, which need not be in a file yet.
func (g *globals) pipelineOf(stack *schema.Stack, want wanted) (*shownPipeline, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	m, err := g.means(want.insecure, filepath.Join(cache, "builders"))
	if err != nil {
		return nil, err
	}
	m.CacheDir, m.Signer = cache, want.signer
	if m.Store, err = g.newStore(); err != nil {
		return nil, err
	}
	s := want.settings
	if s.Inputs.Epoch, err = epoch(); err != nil {
		return nil, err
	}
	s.Wording, s.Pinning.Offline, s.Pinning.OpenFaaS = wording, g.offline, g.openFaaS
	p, err := pipeline.New(stack, s, m)
	return &shownPipeline{Pipeline: p, settings: s}, err
}

// means are what a pipeline needs of builders and registries. The folder memory has what is
// known of builders between runs.
func (g *globals) means(insecure []string, memory string) (pipeline.Means, error) {
	cfg, err := g.config()
	if err != nil {
		return pipeline.Means{}, err
	}
	choice, err := g.choice()
	if err != nil {
		return pipeline.Means{}, err
	}
	m := pipeline.Means{Builder: fleet.NewOnDemand(choice, memory), Mirrors: mirrorsOf(cfg), Proxy: proxies()}
	if m.Authorities, err = authorities(cfg); err != nil {
		return pipeline.Means{}, err
	}
	if m.Policy, err = g.rules.read(); err != nil {
		return pipeline.Means{}, err
	}
	m.Version = fnbVersion()
	m.Registry, err = newRegistry(insecure)
	return m, err
}

// jobs are those of functions; what the command line has to name otherwise is said in its
// words.
func (p *shownPipeline) jobs(ctx context.Context, fns []schema.Function) ([]*pipeline.Job, error) {
	jobs, err := p.Jobs(ctx, fns)
	if o, ok := errors.AsType[*pipeline.OverwriteError](err); ok {
		flag, into := fmt.Sprintf("--output %s=%s", p.settings.Destination.Kind, o.Path), "the path"
		if o.Key != "" {
			flag, into = fmt.Sprintf("--cache-to type=%s,%s=%s", o.Cache.Type, o.Key, o.Path), "it"
		}
		return nil, usagef("fnb build", "%s: %d functions would write over one another; put %%s, the function's name, into %s", flag, o.Functions, into)
	}
	return jobs, err
}

// severalFunctions is how many functions can be shown with each of their steps.
const severalFunctions = 10

// open starts the display and opens the image store, as far as the build needs
// them.
func (p *shownPipeline) open(g *globals, functions int) (err error) {
	switch p.settings.Destination.Kind {
	case pipeline.ToContexts:
		return nil
	case pipeline.ToStore:
		if p.Images, err = openImages(p.Stack.File); err != nil {
			return err
		}
	}
	p.unfold = g.ci.Fold(g.err, "fnb: building "+plain.Count(functions, "function", "functions"))
	if functions > severalFunctions {
		p.Progress, err = display.NewOverview(g.err, g.progress, functions)
	} else {
		p.Progress, err = display.New(g.err, g.progress, functions > 1)
	}
	if err != nil {
		return usagef("fnb build", "%w", err)
	}
	return nil
}

// makeImages makes the images of the functions that are wanted. What was made is nil if the builder was not asked.
func (g *globals) makeImages(ctx context.Context, want wanted) ([]pipeline.Outcome, error) {
	p, fns, err := g.newPipeline(want)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	jobs, err := p.jobs(ctx, fns)
	if err != nil {
		return nil, err
	}
	if err := p.open(g, len(jobs)); err != nil {
		return nil, err
	}
	want.failures.of(p)
	made, err := p.Run(ctx, jobs)
	g.sayRetired(p)
	p.Close()
	for _, name := range pipeline.UnreadArgs(made) {
		fmt.Fprintf(g.err, "fnb: note: --build-arg %s does nothing: no Dockerfile of these functions has an ARG %s\n", plain.Line(name), plain.Line(name))
	}
	if lerr := p.WriteLock(); lerr != nil {
		err = errors.Join(err, lerr)
	}
	return made, err
}

// useOneBuilder connects to one builder, which makes the images and runs them: what it
// has made is in its cache.
func (p *shownPipeline) useOneBuilder(ctx context.Context, g *globals) error {
	c, err := g.connect(ctx)
	if err != nil {
		return err
	}
	p.Machine = c
	p.Builder.Use(c)
	return nil
}

// sayRetired tells of builders that were given up.
func (g *globals) sayRetired(p *shownPipeline) {
	lost, left := p.Builder.Retired()
	for _, why := range lost {
		text := plain.Line(why.Error())
		if left {
			text += "; the other builders went on without it"
		}
		fmt.Fprintf(g.err, "fnb: note: %s\n", text)
	}
}

// Close ends the display and the connection. It may be called twice.
func (p *shownPipeline) Close() {
	if p.Progress != nil {
		p.Progress.Close()
	}
	if p.unfold != nil {
		p.unfold()
		p.unfold = nil
	}
	p.Pipeline.Close()
}

// completeFunctions lists the stack's functions for the shell.
func (g *globals) completeFunctions(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names offers
	if file, err := g.stackFile(); err == nil {
		if stack, err := schema.ReadStack(file, os.LookupEnv); err == nil {
			for _, fn := range stack.Functions {
				names.add(fn.Name, "")
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
