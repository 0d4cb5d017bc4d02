package rebase

import (
	"encoding/json"
	"errors"
	"fmt"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/registry/whole"
	"fnb/schema/layers"
	"fnb/schema/words"
)

// A parsed image is that of one platform, as its registry has it, and taken apart.
type parsed struct {
	whole.Part
	manifest ocispecs.Manifest
	config   dockerspec.DockerOCIImage
	raw      map[string]json.RawMessage // of the configuration
}

func parse(p whole.Part) (*parsed, error) {
	out := &parsed{Part: p}
	if err := json.Unmarshal(p.Manifest, &out.manifest); err != nil {
		return out, fmt.Errorf("reading its manifest: %w", err)
	}
	if err := json.Unmarshal(p.Config, &out.config); err != nil {
		return out, fmt.Errorf("reading its configuration: %w", err)
	}
	if err := json.Unmarshal(p.Config, &out.raw); err != nil {
		return out, fmt.Errorf("reading its configuration: %w", err)
	}
	if len(out.manifest.Layers) != len(out.config.RootFS.DiffIDs) {
		return out, fmt.Errorf("its manifest has %d layers, and its configuration %d", len(out.manifest.Layers), len(out.config.RootFS.DiffIDs))
	}
	return out, nil
}

// parseAll takes the images of all platforms apart, of which there is one at least.
func parseAll(w *whole.Image) (all []*parsed, err error) {
	if len(w.Parts) == 0 {
		return nil, errors.New("it has no image for a platform")
	}
	for _, part := range w.Parts {
		one, err := parse(part)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// layers say what the layers of an image are there for; an error where it does not say so itself.
func (p *parsed) layers() (layers.List, error) {
	text := p.config.Config.Labels[words.LabelLayers]
	if text == "" {
		return nil, errors.New("the image does not say what its layers are there for")
	}
	l, err := layers.Parse(text)
	if err == nil && l.Len() != len(p.manifest.Layers) {
		err = fmt.Errorf("the image says that it has %d layers, and has %d", l.Len(), len(p.manifest.Layers))
	}
	return l, err
}

// filled is how many entries of a history made layers.
func filled(all []ocispecs.History) int {
	n := 0
	for _, h := range all {
		if !h.EmptyLayer {
			n++
		}
	}
	return n
}

func sameEntry(a, b ocispecs.History) bool {
	same := a.CreatedBy == b.CreatedBy && a.Comment == b.Comment && a.Author == b.Author && a.EmptyLayer == b.EmptyLayer
	if a.Created == nil || b.Created == nil {
		return same && a.Created == b.Created
	}
	return same && a.Created.Equal(*b.Created)
}
