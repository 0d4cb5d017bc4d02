package main

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/spf13/pflag"

	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/pipeline/services"
	"fnb/schema"
	known "fnb/schema/services"
)

// serviced gives functions the services that they use. What it returns has to be closed
// when the functions have ended. Their logs go where those of functions do, or nowhere.
func (g *globals) serviced(ctx context.Context, p *shownPipeline, o *pipeline.ContainerOptions, fresh []string, mu *sync.Mutex, logs bool) *services.Services {
	so := services.Options{Fresh: fresh, Say: func(service, text string, usual bool) {
		if !usual || logs && !g.quiet {
			g.say(mu, service, "%s", text)
		}
	}}
	if logs {
		so.Logs = func(service string) io.Writer { return plain.NewWriter(mu, g.err, service+" | ") }
	}
	s := services.New(ctx, p.Pipeline, so)
	o.Lead(s.Routes)
	o.Unreached = g.telling(p, mu)
	return s
}

// freshFlag are services whose data is dropped before they start.
type freshFlag []string

func (o *freshFlag) addFlag(f *pflag.FlagSet) {
	f.StringArrayVar((*[]string)(o), "fresh", nil, "start the `SERVICE` without the data that it has kept (repeatable)")
}

// check says which of them keep nothing that functions use.
func (o freshFlag) check(command string, stack *schema.Stack, fns []schema.Function) error {
	used := stack.ServicesOf(fns)
	for _, name := range o {
		is := func(s known.Service) bool { return s.Name == name }
		switch at := slices.IndexFunc(used, is); {
		case at >= 0 && used[at].Keep:
		case at >= 0:
			return usagef(command, "--fresh %s: the service begins without data each time, since keep is not set", name)
		case slices.ContainsFunc(stack.Services, is):
			return usagef(command, "--fresh %s: no function that is run uses the service", name)
		default:
			return usagef(command, "--fresh %s: %s has no service of that name", plain.Short(name), relative(stack.File))
		}
	}
	return nil
}
