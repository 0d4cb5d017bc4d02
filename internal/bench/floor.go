package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"golang.org/x/sync/errgroup"
)

// floor makes and pushes images that each have one new file on a base image, and
// a watchdog, by BuildKit's client and nothing else: no Dockerfile, no labels, no
// fixed times. It is the least that a builder has to do.
func floor(ctx context.Context, address, registry string, images int, content string) error {
	c, err := client.New(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // the program ends soon
	eg, ctx := errgroup.WithContext(ctx)
	eg.SetLimit(runtime.NumCPU())
	for i := range images {
		eg.Go(func() error {
			app := llb.Image("docker.io/library/debian:bookworm-slim").
				File(llb.Mkdir("/home/app", 0o755, llb.WithParents(true)).
					Mkfile("/home/app/handler.txt", 0o644, fmt.Append(nil, content, i)))
			def, err := llb.Merge([]llb.State{app, llb.Image("ghcr.io/openfaas/of-watchdog:0.11.3")}).Marshal(ctx)
			if err != nil {
				return err
			}
			_, err = c.Solve(ctx, def, client.SolveOpt{Internal: true, Exports: []client.ExportEntry{{
				Type: client.ExporterImage,
				Attrs: map[string]string{
					"name": fmt.Sprintf("%s/floor/f%d:latest", registry, i),
					"push": "true", "store": "false", "registry.insecure": "true",
				},
			}}}, nil)
			return err
		})
	}
	return eg.Wait()
}
