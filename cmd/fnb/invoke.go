package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"fnb/builder/containers"
	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/schema"
)

type invokeOptions struct {
	containerFlags
	request requestFlags
	letters letterFlags
}

func newInvoke(g *globals) *cobra.Command {
	o := &invokeOptions{}
	cmd := &cobra.Command{
		Use:   "invoke [FUNCTION]",
		Short: "send a function one request",
		Long: `Invoke sends one request to a function and prints the body of the answer. The request goes to the fnb run of the same function if there is one. If not, the function is built if that is needed and run in the builder for as long as the answer takes.

It is a GET, or with --data a POST. As with curl, -d @FILE sends a file and -d - or -d @- standard input. Data is of the type text/plain unless --header names another. The exit code is 1 if the answer's status is 400 or more. FUNCTION may be left out where the stack has only one.

With --dead-letters it lists the calls of /async-function/NAME that fnb run --gateway gave up, of one function or of all. With --send the gateway that runs tries them once more, with their callbacks; what fails stays a dead letter. To give one up for good, remove its file in .fnb/dead-letters.`,
		Example:           "  # say hi\n  fnb invoke hello -d hi\n\n  # JSON\n  fnb invoke orders -d '{\"item\": 7}' -H 'Content-Type: application/json'\n\n  # a file, with a header, and what comes back with its headers\n  fnb invoke resize -d @cat.png -H 'Content-Type: image/png' -i --path '/?width=80'\n\n  # calls that the gateway gave up, and all of them again\n  fnb invoke --dead-letters\n  fnb invoke --dead-letters --send all",
		Args:              oneFunction,
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(cmd.CommandPath()); err != nil {
				return err
			}
			if err := o.letters.check(&o.request); err != nil {
				return err
			}
			if o.letters.list {
				return g.runDeadLetters(cmd.Context(), &o.letters, args)
			}
			return g.runInvoke(cmd.Context(), o, args)
		},
	}
	o.addFlags(cmd.Flags())
	o.fresh.addFlag(cmd.Flags())
	o.request.addFlags(cmd.Flags())
	o.letters.addFlags(cmd.Flags())
	return cmd
}

// A statusError is an answer whose status says that something went wrong.
type statusError struct{ status string }

func (e *statusError) Error() string { return "it answered " + e.status }

func (g *globals) runInvoke(ctx context.Context, o *invokeOptions, names []string) error {
	stack, err := g.readStack()
	if err != nil {
		return err
	}
	fn, err := chooseFunction("fnb invoke", stack, names)
	if err != nil {
		return err
	}
	req, err := o.request.request(ctx, "fnb invoke", g.in)
	if err != nil {
		return err
	}
	defer req.Body.Close()
	if rt := runningFunction(ctx, stack.File, fn.Name); rt != nil && len(o.fresh) == 0 {
		g.noteRunning(fn.Name, o.letters.flags)
		return wrapFunction(stack, fn, g.exchange(&o.request, rt, req))
	}
	p, jobs, err := g.containers(ctx, &o.containerFlags, choice{}, []string{fn.Name})
	if err != nil {
		return err
	}
	defer p.Close()
	p.unfold = g.ci.Quote(g.err)
	var mu sync.Mutex
	defer g.serviced(ctx, p, &o.container, o.fresh, &mu, !g.quiet).Close()
	err = pipeline.Each(ctx, jobs, 1, func(ctx context.Context, _ int, j *pipeline.Job) error { return g.invokeOnce(ctx, p, j, o, req, &mu) })
	if lerr := p.WriteLock(); lerr != nil {
		err = errors.Join(err, lerr)
	}
	return err
}

func wrapFunction(stack *schema.Stack, fn schema.Function, err error) error {
	if err == nil {
		return nil
	}
	return &pipeline.FunctionError{Name: fn.Name, Place: pipeline.PlaceOf(stack, fn), Err: err}
}

// slowBuild is how long a build goes on before there is a word about it.
const slowBuild = 2 * time.Second

// lastWords is how long a function that was invoked may take to end, so that its log is shown to the last line.
const lastWords = 2 * time.Second

// invokeOnce runs a function for one request.
func (g *globals) invokeOnce(ctx context.Context, p *shownPipeline, j *pipeline.Job, o *invokeOptions, hr *http.Request, mu *sync.Mutex) error {
	g.noteSecrets(mu, j.Function, &o.containerFlags)
	word := time.AfterFunc(slowBuild, func() {
		if !g.quiet {
			g.say(mu, j.Function.Name, "building")
		}
	})
	r, err := p.Start(ctx, j, o.container, func(req *containers.Request) {
		if prefix := j.Function.Name + " | "; !g.quiet {
			req.Stdout, req.Stderr = plain.NewWriter(mu, g.err, prefix), plain.NewWriter(mu, g.err, prefix)
		}
	})
	word.Stop()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Ready(ctx, o.timeout); err != nil {
		if g.quiet { // nothing of its log has been shown
			for _, line := range r.Tail() {
				fmt.Fprintf(g.err, "%s | %s\n", j.Function.Name, plain.Line(line))
			}
		}
		return err
	}
	err = g.exchange(&o.request, r.Transport(), hr)
	if !g.quiet {
		// Its last lines may be in the function's pipe still, from which only an orderly end brings them.
		_, _ = r.Stop(ctx, lastWords) // how it ends is nobody's
	}
	return pipeline.While("running", err)
}
