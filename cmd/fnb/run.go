package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"fnb/internal/watch"
	"fnb/pipeline/serve"
)

type runOptions struct {
	containerFlags
	choice
	debugFlags
	port    int
	watch   bool
	gateway gatewayFlag
}

func newRun(g *globals) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   "run [FUNCTION…]",
		Short: "run functions in the builder, at local ports",
		Long: `Run builds functions where that is needed, starts them in the builder, wherever that is, and forwards a port of this machine's loopback interface to each. It needs no Docker, and nothing is exported or pushed. A function is run as its image says: its user, environment, working directory and command. It has no network but the loopback interface, and what --reach names.

For each function a line is printed once it answers: its name and its URL, or with --json an object of both. With several functions the ports follow one another, in the order of the stack file. Logs go to standard error, each line behind the function's name. Ctrl-C stops the functions with SIGTERM, a second one at once.

With --watch a function is built anew when its handler, its template in a folder, an environment file or a copied path is saved. A file around the handler that chooses the version of its runtime counts too. After a save of the stack file a line says what of it the run does not go by, until you start it again. The old one serves until the new one is ready, and goes on if the build fails.

With --gateway one more port has the routes of OpenFaaS's gateway: /function/NAME, /async-function/NAME, /system/functions and /healthz. Without --port the functions' own ports follow it. Functions reach it as gateway:8080 and gateway.openfaas:8080, and so one another. A call to /async-function/NAME is tried again with growing pauses. One that is given up, or not done when Ctrl-C comes, is kept in .fnb/dead-letters; fnb invoke --dead-letters lists those.

With --debug functions are started under the debugger of their template, which is forwarded to a port of the loopback interface, beside the requests. The stage debug of the template's Dockerfile brings the debugger; no registry gets such an image. Nothing times out while a function stands at a breakpoint. With --watch the debugger's port leads to the new container once that is started. --editor vscode adds to .vscode/launch.json how to attach.

Secrets are files in /var/openfaas/secrets, which only the function sees. The stack file's environment and environment_file are set; --env wins over them.

With --reach db=127.0.0.1:5432 the function connects to db:5432, and fnb passes that on to this machine's port 5432, whichever machine the builder is on. --reach api.example.com:443 leads there from this machine. With --reach api:80=127.0.0.1:8000 the ports differ. run.reach of a function in the stack file does the same. A line says which other hosts a function looked up.

The services that a function names with run.services in the stack file, such as a database, are started beside it. It reaches them by name and port, and they end with the run.`,
		Example:           "  # one function at http://127.0.0.1:8080, built anew on each save\n  fnb run hello --watch\n\n  # under a debugger, with what VS Code needs to attach\n  fnb run hello --watch --debug --editor vscode\n\n  # all functions of the stack, with a secret\n  fnb run --port 9000 --secret id=token,src=../token.txt\n\n  # functions that call one another, at http://127.0.0.1:8080/function/NAME\n  fnb run --gateway --watch\n\n  # with a database of this machine\n  fnb run orders --reach db=127.0.0.1:5432",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(cmd.CommandPath()); err != nil {
				return err
			}
			if o.port < 0 || o.port > 65535 {
				return usagef(cmd.CommandPath(), "--port %d: it must be 0 to 65535", o.port)
			}
			if o.gateway.given && o.port == o.gateway.port && o.port != 0 && cmd.Flags().Changed("port") {
				return usagef(cmd.CommandPath(), "--gateway=%d --port %[1]d: the gateway and the first function cannot have one port", o.port)
			}
			o.port = o.functionPort(cmd.Flags().Changed("port"))
			if err := o.check(cmd.CommandPath()); err != nil {
				return err
			}
			return g.runRun(cmd.Context(), o, args)
		},
	}
	o.containerFlags.addFlags(cmd.Flags())
	o.fresh.addFlag(cmd.Flags())
	o.choice.addFlags(cmd.Flags(), "run")
	o.debugFlags.addFlags(cmd.Flags())
	cmd.Flags().IntVarP(&o.port, "port", "p", 8080, "forward the local port `N` to the first function, those after it to the others; 0 is any")
	o.gateway.addFlag(cmd.Flags())
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "build and swap when something is saved")
	return cmd
}

func (g *globals) runRun(ctx context.Context, o *runOptions, names []string) error {
	o.settings.Debug = o.debug.on
	p, jobs, err := g.containers(ctx, &o.containerFlags, o.choice, names, o.gateway.keys()...)
	if err != nil {
		return err
	}
	defer p.Close()
	so := serve.Options{
		Container: o.container, Parallel: o.settings.Parallel, Port: o.port, Ready: o.timeout,
		Debug:  o.options(g, filepath.Dir(p.Stack.File)),
		Socket: func(function string) (string, error) { return functionSocket(p.Stack.File, function) },
	}
	if o.watch {
		so.Watch = watchFiles
	}
	if so.Gateway, err = o.gateway.options(ctx, p.Stack); err != nil {
		return err
	}
	r := &runner{g: g, o: o, p: p, names: names}
	if r.used, err = g.useStack(names, o.choice); err != nil {
		return err
	}
	defer g.serviced(ctx, p, &so.Container, o.fresh, &r.out, !g.quiet).Close()
	fns, err := serve.Listen(ctx, p.Pipeline, jobs, so, r)
	if err != nil {
		return err
	}
	defer fns.Close(ctx)
	p.unfold = g.ci.Quote(g.err)
	if err := g.showing(p, len(jobs)); err != nil {
		return err
	}
	built := fns.Build(ctx)
	p.Progress.Close()
	p.Progress = nil
	if err := p.WriteLock(); err != nil {
		return err
	}
	if url := fns.GatewayURL(); url != "" {
		if err := r.gatewayServes(url); err != nil {
			return err
		}
	}
	return fns.Serve(ctx, built)
}

// watchFiles tells when something at paths is saved.
func watchFiles(paths []string) (saved <-chan struct{}, stop func(), err error) {
	w, err := watch.New(paths)
	if err != nil {
		return nil, nil, err
	}
	return w.Saved, w.Close, nil
}
