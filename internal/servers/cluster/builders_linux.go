package cluster

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"fnb/internal/servers"
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
	if err := layertar.WriteFile(file, func(w *layertar.Writer) error { return writeBuildkitd(ctx, w, mirrors) }); err != nil {
		return "", err
	}
	layer, err := tarball.LayerFromFile(file)
	if err != nil {
		return "", err
	}
	if img, err = mutate.AppendLayers(img, layer); err != nil {
		return "", err
	}
	if img, err = mutate.Config(img, v1.Config{Entrypoint: []string{"buildkitd"}, Env: []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}); err != nil {
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

// writeBuildkitd writes the programs of a builder, and its settings.
func writeBuildkitd(ctx context.Context, w *layertar.Writer, mirrors map[string]string) error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	files := map[string]string{"usr/local/bin/runc": runc}
	for _, tool := range []string{"buildkitd", "buildctl"} {
		if files["usr/local/bin/"+tool], err = servers.Tool(ctx, tool); err != nil {
			return err
		}
	}
	for _, place := range slices.Sorted(maps.Keys(files)) {
		program, err := os.ReadFile(files[place])
		if err != nil {
			return err
		}
		if err := w.File(place, 0o755, program); err != nil {
			return err
		}
	}
	var settings strings.Builder
	settings.WriteString("[worker.oci]\nnetworkMode = \"host\"\n[worker.containerd]\nenabled = false\n")
	for _, host := range slices.Sorted(maps.Keys(mirrors)) {
		fmt.Fprintf(&settings, "[registry.%q]\nmirrors = [%q]\n", host, mirrors[host])
	}
	for _, host := range slices.Compact(slices.Sorted(maps.Values(mirrors))) {
		fmt.Fprintf(&settings, "[registry.%q]\nhttp = true\n", host)
	}
	return w.File("etc/buildkit/buildkitd.toml", 0o644, []byte(settings.String()))
}
