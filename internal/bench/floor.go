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
// a watchdog, by BuildKit's client and nothing else: what fnb has the builder do,
// a file of a build context copied and all times fixed, without a Dockerfile,
// labels or anything looked up. A bare one is the least that a builder can do: the
// file is put onto the base image, and times are left as they are.
func floor(ctx context.Context, address, registry string, images int, content string, bare bool) error {
	c, err := client.New(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // the program ends soon
	eg, ctx := errgroup.WithContext(ctx)
	eg.SetLimit(runtime.NumCPU())
	for i := range images {
		eg.Go(func() error {
			attrs := map[string]string{
				"name": fmt.Sprintf("%s/floor/f%d:latest", registry, i),
				"push": "true", "store": "false", "registry.insecure": "true",
			}
			file := fmt.Append(nil, content, i)
			app := llb.Image("docker.io/library/debian:bookworm-slim").File(llb.Mkdir("/home/app", 0o755, llb.WithParents(true)))
			if bare {
				app = app.File(llb.Mkfile("/home/app/handler.txt", 0o644, file))
			} else {
				sent := llb.Scratch().File(llb.Mkdir("/function", 0o755).Mkfile("/function/handler.txt", 0o644, file))
				app = app.File(llb.Copy(sent, "/function/", "/home/app/", &llb.CopyInfo{CopyDirContentsOnly: true}))
				for k, v := range map[string]string{
					"oci-mediatypes": "true", "rewrite-timestamp": "true", "source-date-epoch": "315532801",
					"compression": "gzip", "force-compression": "false",
				} {
					attrs[k] = v
				}
			}
			def, err := llb.Merge([]llb.State{app, llb.Image("ghcr.io/openfaas/of-watchdog:0.11.3")}).Marshal(ctx)
			if err != nil {
				return err
			}
			_, err = c.Solve(ctx, def, client.SolveOpt{Internal: true, Exports: []client.ExportEntry{{Type: client.ExporterImage, Attrs: attrs}}}, nil)
			return err
		})
	}
	return eg.Wait()
}
