package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"fnb/builder"
	"fnb/internal/plain"
)

type runOptions struct {
	containerOptions
	port  int
	watch bool
}

func newRun(g *globals) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   "run [FUNCTION…]",
		Short: "run functions in the builder, at local ports",
		Long: `Run builds functions where that is needed, starts them in the builder, wherever that is, and forwards a port of this machine's loopback interface to each. It needs no Docker, and nothing is exported or pushed. A function is run as its image says: its user, environment, working directory and command. It has no network but the loopback interface.

For each function a line is printed once it answers: its name and its URL, or with --json an object of both. With several functions the ports follow one another, in the order of the stack file. Logs go to standard error, each line behind the function's name. Ctrl-C stops the functions with SIGTERM, a second one at once.

With --watch a function is built anew when its handler, its template in a folder, an environment file or a copied path is saved. The old one serves until the new one is ready, and goes on where the build fails.

Secrets are files in /var/openfaas/secrets, which only the function sees. The stack file's environment and environment_file are set; --env wins over them.`,
		Example:           "  # one function at http://127.0.0.1:8080, built anew on each save\n  fnb run hello --watch\n\n  # all functions of the stack, with a secret\n  fnb run --port 9000 --secret id=token,src=./token.txt",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(cmd.CommandPath()); err != nil {
				return err
			}
			if o.port < 0 || o.port > 65535 {
				return usagef(cmd.CommandPath(), "--port %d: it is 0 to 65535", o.port)
			}
			return g.runRun(cmd.Context(), o, args)
		},
	}
	o.addFlags(cmd.Flags())
	o.choice.addFlags(cmd.Flags(), "run")
	cmd.Flags().IntVarP(&o.port, "port", "p", 8080, "forward the local port `N` to the first function, those after it to the others; 0 is any")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "build and swap when something is saved")
	return cmd
}

// A runner is one call of fnb run.
type runner struct {
	g   *globals
	p   *pipeline
	o   *runOptions
	out sync.Mutex // held while anything is printed
	all []*serving
}

func (g *globals) runRun(ctx context.Context, o *runOptions, names []string) error {
	p, jobs, err := g.containers(ctx, &o.containerOptions, names)
	if err != nil {
		return err
	}
	defer p.close()
	r := &runner{g: g, p: p, o: o}
	defer r.close(ctx)
	for i, j := range jobs {
		port := o.port
		if port != 0 {
			port += i
		}
		s, err := listen(ctx, j, port)
		if err != nil {
			return &functionError{name: j.fn.Name, place: j.place, err: err}
		}
		r.all = append(r.all, s)
		if !o.watch {
			continue
		}
		if s.watcher, err = newWatcher(p.sources(j.fn)); err != nil { // before the first build, so that no save is missed
			return &functionError{name: j.fn.Name, place: j.place, err: err}
		}
	}
	p.unfold = g.ci.quote(g.err)
	if err := g.showing(p, len(jobs)); err != nil {
		return err
	}
	built := each(ctx, jobs, o.parallel, r.build)
	p.progress.Close()
	p.progress = nil
	if err := p.writeLock(); err != nil {
		return err
	}
	return r.serve(ctx, built)
}

// build makes what is to be run, with its progress on the display.
func (r *runner) build(ctx context.Context, j *job) error {
	req, _, err := r.p.container(ctx, j, &r.o.containerOptions)
	if err != nil {
		return err
	}
	_, err = r.p.machine.Solve(ctx, *req.Build)
	return err
}

// serve starts what was built, and lasts until it is interrupted or nothing
// runs any more.
func (r *runner) serve(ctx context.Context, built error) error {
	failed := map[string]bool{}
	if run, ok := errors.AsType[*runError](built); ok {
		for _, f := range run.failed {
			failed[f.name] = true
		}
	} else if built != nil {
		return built
	}
	if len(failed) == len(r.all) && !r.o.watch {
		return built
	}
	if built != nil {
		report(r.g.err, built)
	}
	var running sync.WaitGroup
	errs := make([]error, len(r.all))
	for i, s := range r.all {
		running.Go(func() {
			if !failed[s.job.fn.Name] {
				errs[i] = r.begin(ctx, s)
			} else if !r.o.watch {
				return
			}
			switch {
			case ctx.Err() != nil:
			case r.o.watch:
				if errs[i] != nil {
					r.g.failing(&r.out, s.job, errs[i])
				}
				errs[i] = r.follow(ctx, s)
			case errs[i] == nil:
				errs[i] = r.outlive(ctx, s)
			}
			if errs[i] != nil && ctx.Err() == nil && len(r.all) > 1 {
				r.g.failing(&r.out, s.job, errs[i])
			}
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	run := &runError{all: len(r.all)}
	for i, s := range r.all {
		if errs[i] != nil {
			run.failed = append(run.failed, &functionError{name: s.job.fn.Name, place: s.job.place, doing: s.job.doing, err: errs[i]})
		}
	}
	if len(run.failed) == 0 {
		return built
	}
	return errors.Join(built, run)
}

// begin starts a function for the first time and says where it is.
func (r *runner) begin(ctx context.Context, s *serving) error {
	r.g.noteSecrets(&r.out, s.job.fn, &r.o.containerOptions)
	if err := r.start(ctx, s); err != nil {
		return err
	}
	return r.announce(ctx, s)
}

// announce opens the port and prints where it is.
func (r *runner) announce(ctx context.Context, s *serving) error {
	if err := s.open(ctx, r.p.stack.File); err != nil {
		return err
	}
	s.announced = true
	r.out.Lock()
	defer r.out.Unlock()
	if r.g.json {
		return r.g.printJSON(struct {
			Function string `json:"function"`
			URL      string `json:"url"`
		}{s.job.fn.Name, s.address()})
	}
	_, err := fmt.Fprintln(r.g.out, s.job.fn.Name, s.address())
	return err
}

// start builds a function, runs it, and when it is ready lets it serve.
func (r *runner) start(ctx context.Context, s *serving) error {
	req, _, err := r.p.container(ctx, s.job, &r.o.containerOptions)
	if err != nil {
		return err
	}
	prefix := s.job.fn.Name + " | "
	req.Stdout = plain.NewWriter(&r.out, r.g.err, prefix)
	req.Stderr = plain.NewWriter(&r.out, r.g.err, prefix)
	c, err := r.p.machine.Run(ctx, req)
	if err != nil {
		return err
	}
	s.job.doing = "running"
	if err := c.Ready(ctx, r.o.timeout); err != nil {
		c.Close()
		return err
	}
	if old := s.swap(&instance{Running: c, replaced: make(chan struct{})}); old != nil {
		go old.retire(ctx)
	}
	return nil
}

// outlive waits for a function to end, which it should not.
func (r *runner) outlive(ctx context.Context, s *serving) error {
	in, done, err := s.take()
	if err != nil {
		return err
	}
	done()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-in.replaced:
		return nil
	case <-in.Gone():
	}
	s.swap(nil)
	code, err := in.Wait(ctx)
	if err != nil {
		return err
	}
	return &builder.ExitError{Code: code, Log: in.Tail()}
}

// close stops everything that runs.
func (r *runner) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*stopGrace)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range r.all {
		wg.Go(func() { s.close(ctx) })
	}
	wg.Wait()
}

// follow builds a function anew whenever something it is made of is saved.
func (r *runner) follow(ctx context.Context, s *serving) error {
	for {
		gone := r.goneOf(s)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-gone:
			err := r.outlive(ctx, s)
			if errors.As(err, new(*builder.UnreachableError)) {
				return err
			}
			r.g.failing(&r.out, s.job, err)
			continue
		case <-s.watcher.saved:
		}
		began := time.Now()
		r.p.forgetTemplates()
		err := r.start(ctx, s)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			r.g.failing(&r.out, s.job, err)
			continue
		}
		if err := r.p.writeLock(); err != nil { // of base images that were not there before
			r.g.failing(&r.out, s.job, err)
		}
		if s.announced {
			r.g.say(&r.out, s.job.fn.Name, "serving again after %s", time.Since(began).Round(time.Millisecond))
		} else if err := r.announce(ctx, s); err != nil {
			return err
		}
	}
}

// goneOf is closed when the container that serves is gone; nil when none does.
func (r *runner) goneOf(s *serving) <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.now == nil {
		return nil
	}
	return s.now.Gone()
}

// forgetTemplates has templates looked up again: one in a folder may be another
// now.
func (p *pipeline) forgetTemplates() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resolved = nil
}
