package rebase

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/packaging"
	"fnb/sbom/scan"
)

// OwnWatchdogs are the layers of this fnb's watchdog, by platform.
func OwnWatchdogs() (map[string]WatchdogLayer, error) {
	own, err := packaging.Watchdog()
	if err != nil {
		return nil, err
	}
	out := map[string]WatchdogLayer{}
	for platform, manifest := range own.Manifests {
		var m ocispecs.Manifest
		var config ocispecs.Image
		if err := read(own.FS, digest.Digest(manifest), &m); err != nil {
			return nil, err
		}
		if err := read(own.FS, m.Config.Digest, &config); err != nil {
			return nil, err
		}
		if len(m.Layers) != 1 || len(config.RootFS.DiffIDs) != 1 {
			return nil, fmt.Errorf("the watchdog for %s is not one layer", platform)
		}
		l := WatchdogLayer{Digest: m.Layers[0].Digest, DiffID: config.RootFS.DiffIDs[0], Size: m.Layers[0].Size}
		if l.Blob, err = fs.ReadFile(own.FS, blobPath(l.Digest)); err != nil {
			return nil, err
		}
		out[platform] = l
	}
	return out, nil
}

// watchdogFile is where a watchdog is in an image.
const watchdogFile = "usr/bin/fwatchdog"

// contents is what a watchdog is made of.
func (l *WatchdogLayer) contents(ctx context.Context, known *scan.Cache) (scan.Found, error) {
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(l.Blob)), nil })
	if err != nil {
		return scan.Found{}, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return scan.Found{}, err
	}
	return known.Image(ctx, img)
}

func blobPath(d digest.Digest) string {
	return ocispecs.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

func read(layout fs.FS, d digest.Digest, into any) error {
	raw, err := fs.ReadFile(layout, blobPath(d))
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
