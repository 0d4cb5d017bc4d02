package cluster

import (
	"context"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"fnb/internal/servers/buildkitimage"
	"fnb/internal/servers/layertar"
)

// PushBuildkitd pushes an image of buildkitd as others have it, on Debian, and returns its reference. It finds
// base images as mirrors say, see [servers.Bases], in a pod with the node's network.
func (c *Cluster) PushBuildkitd(ctx context.Context, mirrors map[string]string) (string, error) {
	base := "debian:bookworm-slim"
	if mirror, ok := mirrors["docker.io"]; ok {
		base = mirror + "/library/" + base
	}
	from, err := name.ParseReference(base)
	if err != nil {
		return "", err
	}
	img, err := remote.Image(from, remote.WithContext(ctx))
	if err != nil {
		return "", err
	}
	file := filepath.Join(c.dir, "buildkitd.tar.gz")
	if err := layertar.WriteFile(file, func(w *layertar.Writer) error { return buildkitimage.Write(ctx, w, mirrors) }); err != nil {
		return "", err
	}
	layer, err := tarball.LayerFromFile(file)
	if err != nil {
		return "", err
	}
	if img, err = mutate.AppendLayers(img, layer); err != nil {
		return "", err
	}
	if img, err = mutate.Config(img, v1.Config{Entrypoint: []string{"buildkitd"}, Env: []string{buildkitimage.Path}}); err != nil {
		return "", err
	}
	ref, err := name.ParseReference(c.Registry.Host + "/buildkitd:1")
	if err != nil {
		return "", err
	}
	for _, host := range mirrors {
		if err := c.Reach(host); err != nil {
			return "", err
		}
	}
	return ref.String(), remote.Write(ref, img, remote.WithContext(ctx))
}
