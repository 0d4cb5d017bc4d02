package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"fnb/builder/containers"
	"fnb/internal/terminal"
	"fnb/pipeline"
	"fnb/pipeline/shell"
)

type shellOptions struct {
	containerFlags
	stage   string
	command []string
}

func newShell(g *globals) *cobra.Command {
	o := &shellOptions{}
	cmd := &cobra.Command{
		Use:   "shell [FUNCTION] [-- COMMAND…]",
		Short: "look around in a function's image, or in a stage of its build",
		Long: `Shell builds a function where that is needed and opens a shell in its image, in the builder, wherever that is. It needs no Docker. The shell is given what fnb run gives the function: its user, environment, working directory and secrets. COMMAND runs in the place of a shell. FUNCTION may be left out where the stack has only one.

The shell connects to what the function does, and to nothing else. The services of its run.services are started, and end with the shell. run.reach and --reach lead to hosts of this machine's network. To reach the gateway of a fnb run --gateway at port 8080, give --reach gateway=127.0.0.1:8080.

With --stage the shell is in a stage of the Dockerfile, once its steps are done. It has the network of a RUN step, and the mounts of the stage's last one: caches, secrets, other stages. Secrets are those of the build then. fnb build --shell-on-failure opens one at a step that fails.

What is changed in a shell is gone when it ends, except what is in a cache mount. The exit code is that of the shell or of COMMAND: 127 if COMMAND is not there, 126 if it is not a program. If input and output are a terminal, the program has one too; if not, they are passed on as they are.`,
		Example:           "  # a shell in the image, as the function would run\n  fnb shell hello\n\n  # one command\n  fnb shell hello -- ls -l /home/app\n\n  # does it get to the database that the stack file names?\n  fnb shell orders -- pg_isready -h db\n\n  # a shell where the tests have run, with their packages\n  fnb shell hello --stage test\n\n  # a script from this machine\n  fnb shell hello -- sh -s < check.sh",
		ValidArgsFunction: g.completeFunctions,
		Args: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); at >= 0 {
				args = args[:at]
			}
			if len(args) > 1 {
				return usagef(cmd.CommandPath(), "takes one function, not %d; a command comes behind --", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); at >= 0 {
				args, o.command = args[:at], args[at:]
				if len(o.command) == 0 {
					return usagef(cmd.CommandPath(), "a command is missing behind --; without -- it is a shell")
				}
			}
			if o.stage != "" && len(o.reach)+len(o.fresh) > 0 {
				return usagef(cmd.CommandPath(), "--reach and --fresh do nothing with --stage, which has the network of a RUN step")
			}
			if o.stage != "" { // a stage's secrets are those of its steps
				o.inputs.target, o.inputs.secrets, o.secrets = o.stage, o.secrets, nil
			}
			if err := o.parse(cmd.CommandPath()); err != nil {
				return err
			}
			return g.runShell(cmd.Context(), o, args)
		},
	}
	o.reach.addFlag(cmd.Flags())
	o.fresh.addFlag(cmd.Flags())
	o.addImageFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.stage, "stage", "", "open it in the `STAGE` of the Dockerfile, such as deps or test")
	return cmd
}

// An endedError is a program that somebody ran and whose exit code is fnb's.
type endedError struct{ code int }

func (e *endedError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func (g *globals) runShell(ctx context.Context, o *shellOptions, names []string) error {
	stack, err := g.readStack()
	if err != nil {
		return err
	}
	fn, err := chooseFunction("fnb shell", stack, names)
	if err != nil {
		return err
	}
	p, jobs, err := g.containers(ctx, &o.containerFlags, choice{}, []string{fn.Name})
	if err != nil {
		return err
	}
	defer p.Close()
	if o.stage == "" {
		var mu sync.Mutex
		defer g.serviced(ctx, p, &o.container, o.fresh, &mu, false).Close()
	}
	if err := g.showing(p, len(jobs)); err != nil {
		return err
	}
	err = p.Make(ctx, jobs[0], o.container)
	p.Progress.Close()
	p.Progress = nil
	if err == nil {
		err = p.WriteLock()
	}
	code := 0
	if err == nil {
		code, err = g.talk(ctx, p, jobs[0], o)
	}
	switch {
	case err != nil:
		return jobs[0].Failed(hintAtFailure(err, jobs[0].Function.Name, o.stage))
	case code != 0:
		return &endedError{code}
	}
	return nil
}

// talk has a program in a container be that of this terminal, until it ends.
func (g *globals) talk(ctx context.Context, p *shownPipeline, j *pipeline.Job, o *shellOptions) (int, error) {
	ctx, closed := context.WithCancel(ctx)
	defer closed()
	talk := containers.Talk{Command: o.command, TTY: terminal.Is(g.in, g.out), Term: os.Getenv("TERM")}
	ended := func() {}
	if talk.TTY {
		ended = closed
	}
	in := terminal.NewInput(g.in, ended).Reader()
	defer in.Close()
	talk.In = in
	running, err := shell.Open(ctx, p.Pipeline, j, shell.Options{Container: o.container, Stage: o.stage, Talk: talk}, func(r *containers.Request) {
		r.Stdout, r.Stderr = unclosed{g.out}, unclosed{g.err}
	})
	if err != nil {
		return 0, err
	}
	defer running.Close()
	if !talk.TTY {
		return running.Attend(ctx, nil)
	}
	return g.lend(ctx, g.out, closed, running.Attend)
}

// unclosed is an output that others use too.
type unclosed struct{ io.Writer }

// lend has this terminal be that of a program elsewhere, until it ends.
func (g *globals) lend(ctx context.Context, out *os.File, closed func(), attend func(context.Context, <-chan terminal.Size) (int, error)) (code int, err error) {
	loan, err := terminal.Lend(ctx, g.in, out, closed)
	if err != nil {
		return 0, err
	}
	defer func() {
		if back := loan.Return(); err == nil && ctx.Err() == nil {
			err = back
		}
	}()
	return attend(ctx, loan.Sizes)
}
