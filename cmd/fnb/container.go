package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fnb/builder/display"
	"fnb/internal/plain"
	"fnb/internal/terminal"
	"fnb/pipeline"
	"fnb/pipeline/services"
	"fnb/schema"
)

// containerFlags are those of commands that run functions in the builder.
type containerFlags struct {
	inputs  inputFlags
	env     []string
	secrets []string // of the function
	reach   reachFlag
	fresh   freshFlag
	frozen  bool
	timeout time.Duration

	path      string                    // of the command whose flags they are
	settings  pipeline.Settings         // once they are parsed
	container pipeline.ContainerOptions // the same
}

func (o *containerFlags) addFlags(f *pflag.FlagSet) {
	o.reach.addFlag(f)
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "give the function `TIME` to begin to listen")
	o.addImageFlags(f)
}

// addImageFlags adds those that say what runs.
func (o *containerFlags) addImageFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.env, "env", "e", nil, "set the variable `K=V` of the function (repeatable)")
	f.StringArrayVar(&o.secrets, "secret", nil, "give the function a secret as a file in /var/openfaas/secrets, or its build one of its build_secrets: `id=NAME,src=FILE` or id=NAME,env=VAR (repeatable)")
	f.StringArrayVarP(&o.inputs.args, "build-arg", "b", nil, "set the build arg `K=V` (repeatable)")
	f.StringArrayVar(&o.inputs.options, "build-option", nil, "add the packages of the template's option `NAME` (repeatable)")
	f.StringSliceVar(&o.inputs.platforms, "platform", nil, "build and run for `PLATFORM`")
	f.BoolVar(&o.frozen, "frozen", false, "fail unless fnb.lock covers everything")
	addOutsideFlag(f, &o.inputs.outside)
	addAuthorityFlag(f, &o.inputs.authorities)
}

func (o *containerFlags) parse(command string) error {
	o.path = command
	// Nothing is exported: the builder runs what is in its cache.
	o.settings = pipeline.Settings{Parallel: runtime.NumCPU(), Destination: pipeline.Destination{Kind: pipeline.ToContainer}, Pinning: pipeline.Pinning{Frozen: o.frozen}}
	bad := &complaints{command: command}
	o.inputs.fill(&o.settings, bad)
	if err := errors.Join(bad.errs...); err != nil {
		return err
	}
	var err error
	if o.container.Env, err = keyValues(o.env, nil); err != nil {
		return usagef(command, "--env %w", err)
	}
	var files []string
	if o.container.Secrets, files, err = readSecrets(o.secrets); err != nil {
		return usagef(command, "--secret %w", err)
	}
	if err := o.reach.fill(&o.container); err != nil {
		return usagef(command, "%w", err)
	}
	o.settings.Destination.Secrets = o.container.Secrets
	o.settings.Inputs.SecretFiles = append(o.settings.Inputs.SecretFiles, files...)
	return nil
}

// containers opens a pipeline for functions that are to be run. Keys are those of functions
// that the command uses beside those of every run.
func (g *globals) containers(ctx context.Context, o *containerFlags, c choice, names []string, keys ...string) (*shownPipeline, []*pipeline.Job, error) {
	p, fns, err := g.newPipeline(wanted{settings: o.settings, insecure: o.inputs.insecure, choice: c, names: names, keys: append(schema.RunKeys(), keys...)})
	if err != nil {
		return nil, nil, err
	}
	if err := o.fresh.check(o.path, p.Stack, fns); err != nil {
		return nil, nil, err
	}
	jobs, err := p.jobs(ctx, fns)
	if err != nil {
		return nil, nil, err
	}
	if err := p.useOneBuilder(ctx, g); err != nil {
		return nil, nil, err
	}
	return p, jobs, services.Pin(ctx, p.Pipeline, fns)
}

// showing makes a display for what is built before functions run; it has to end
// before they write their logs.
func (g *globals) showing(p *shownPipeline, functions int) error {
	var err error
	p.Progress, err = display.New(g.err, g.progress, functions > 1)
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
		return usagef(cmd.CommandPath(), "it takes one function, not %d", len(args))
	}
	return nil
}

// noteSecrets says which secrets the stack asks for and nobody gave.
func (g *globals) noteSecrets(mu *sync.Mutex, fn schema.Function, o *containerFlags) {
	for _, name := range fn.Secrets {
		if _, ok := o.container.Secrets[name]; !ok && !g.quiet {
			g.say(mu, fn.Name, "note: the stack file names the secret %s, which was not given with --secret", name)
		}
	}
}

// say prints a line about a function.
func (g *globals) say(mu *sync.Mutex, name, format string, args ...any) {
	mu.Lock()
	defer mu.Unlock()
	end := "\n"
	if terminal.Is(g.err) { // which may be that of a program elsewhere
		end = "\r\n"
	}
	fmt.Fprintf(g.err, "fnb: %s: %s%s", name, plain.Line(fmt.Sprintf(format, args...)), end)
}
