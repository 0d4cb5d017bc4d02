package rebase

import (
	"encoding/json"
	"fmt"
	"io/fs"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/packaging"
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
