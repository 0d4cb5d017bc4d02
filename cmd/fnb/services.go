package main

import (
	"context"
	"io"
	"sync"

	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/pipeline/services"
)

// serviced gives functions the services that they use. What it returns has to be closed
// when the functions have ended. Their logs go where those of functions do, or nowhere.
func (g *globals) serviced(ctx context.Context, p *shownPipeline, o *pipeline.ContainerOptions, mu *sync.Mutex, logs bool) *services.Services {
	so := services.Options{Say: func(service, text string, usual bool) {
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
