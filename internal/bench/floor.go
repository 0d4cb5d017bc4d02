package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"golang.org/x/sync/errgroup"
)

// floor makes and pushes images that each have one new file on a base image, and
// a watchdog, by BuildKit's client and nothing else: what fnb has the builder do,
// a file of a build context copied and all times fixed, without a Dockerfile,
// labels or anything looked up, with a number of images at a time. A bare one is the
// least that a builder can do: the file is put onto the base image, and times are left
// as they are.
func (r *rig) floor(ctx context.Context, from floorImages, images, atOnce int, content string, bare bool) error {
	c, err := client.New(ctx, r.address)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // the program ends soon
	eg, ctx := errgroup.WithContext(ctx)
	eg.SetLimit(atOnce)
	for i := range images {
		eg.Go(func() error {
			attrs := map[string]string{
				"name": fmt.Sprintf("%s/floor/f%d:latest", r.host, i),
				"push": "true", "store": "false", "registry.insecure": "true",
			}
			file := fmt.Append(nil, content, i)
			app := llb.Image(from.base).File(llb.Mkdir("/home/app", 0o755, llb.WithParents(true)))
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
			def, err := llb.Merge([]llb.State{app, llb.Image(from.watchdog)}).Marshal(ctx)
			if err != nil {
				return err
			}
			_, err = c.Solve(ctx, def, client.SolveOpt{Internal: true, Exports: []client.ExportEntry{{Type: client.ExporterImage, Attrs: attrs}}}, nil)
			return err
		})
	}
	return eg.Wait()
}

// floorImages are what the images of the floor are made of.
type floorImages struct{ base, watchdog string }

func (r *rig) floorImages(ctx context.Context) (f floorImages, err error) {
	if f.base, err = r.pinned(ctx, "docker.io", "library/debian", "bookworm-slim"); err != nil {
		return f, err
	}
	f.watchdog, err = r.pinned(ctx, "ghcr.io", "openfaas/of-watchdog", "0.11.3")
	return f, err
}

// pinned is the reference of an image with its digest, as a lock would have it. Without
// a mirror of its host it is by its tag.
func (r *rig) pinned(ctx context.Context, host, repository, tag string) (string, error) {
	ref := host + "/" + repository + ":" + tag
	mirror := r.mirrors[host]
	if mirror == "" {
		return ref, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+mirror+"/v2/"+repository+"/manifests/"+tag, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", strings.Join([]string{
		"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
	}, ", "))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	if err := resp.Body.Close(); err != nil {
		return "", err
	}
	digest := resp.Header.Get("Docker-Content-Digest")
	if digest == "" {
		return "", fmt.Errorf("%s: the mirror says no digest: %s", ref, resp.Status)
	}
	return ref + "@" + digest, nil
}
