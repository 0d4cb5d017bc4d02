package packaging

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/schema"
)

//go:embed all:watchdog
var embedded embed.FS

// ErrNoWatchdog is what [Watchdog] returns from a program that was built before
// its watchdog was.
var ErrNoWatchdog = errors.New("this fnb was built without its watchdog: build it with make build, or install a released version")

// WatchdogLayers is the watchdog as an OCI layout, one image for each platform.
type WatchdogLayers struct {
	// FS is the layout: oci-layout, index.json and blobs/sha256.
	FS fs.FS
	// Manifests are the digests of the images' manifests, by platform.
	Manifests map[string]string
	// Layers are the digests of the layers, by platform.
	Layers map[string]string
}

// Watchdog returns the watchdog that is part of the program, or
// [ErrNoWatchdog].
func Watchdog() (*WatchdogLayers, error) {
	sub, err := fs.Sub(embedded, "watchdog")
	if err != nil {
		return nil, err
	}
	return readWatchdog(sub)
}

func readWatchdog(layout fs.FS) (*WatchdogLayers, error) {
	var index ocispec.Index
	data, err := fs.ReadFile(layout, ocispec.ImageIndexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoWatchdog
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("watchdog layout: %s: %w", ocispec.ImageIndexFile, err)
	}
	w := &WatchdogLayers{FS: layout, Manifests: map[string]string{}, Layers: map[string]string{}}
	for _, m := range index.Manifests {
		if m.Platform == nil {
			return nil, fmt.Errorf("watchdog layout: manifest %s has no platform", m.Digest)
		}
		platform := schema.Platform{OS: m.Platform.OS, Architecture: m.Platform.Architecture, Variant: m.Platform.Variant}.String()
		layer, err := watchdogLayer(layout, m.Digest)
		if err != nil {
			return nil, fmt.Errorf("watchdog layout: %s: %w", platform, err)
		}
		w.Manifests[platform], w.Layers[platform] = m.Digest.String(), layer.String()
	}
	return w, nil
}

// watchdogLayer returns the digest of a manifest's only layer.
func watchdogLayer(layout fs.FS, d digest.Digest) (digest.Digest, error) {
	data, err := fs.ReadFile(layout, ocispec.ImageBlobsDir+"/"+d.Algorithm().String()+"/"+d.Encoded())
	if err != nil {
		return "", err
	}
	if digest.FromBytes(data) != d {
		return "", fmt.Errorf("blob %s is damaged", d)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(data, &manifest); err != nil {
		return "", err
	}
	if len(manifest.Layers) != 1 {
		return "", fmt.Errorf("manifest %s has %d layers", d, len(manifest.Layers))
	}
	return manifest.Layers[0].Digest, nil
}
