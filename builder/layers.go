package builder

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/moby/buildkit/client/llb"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/builder/steps"
	"fnb/schema/words"
)

// describeLayers says in labels what the layers of a platform's image are there for, and how those
// above the base image come to be: what the Dockerfile has left, and the watchdog on top. Of
// a description that nobody can read, which is of somebody else's frontend, only that is said
// which is true of all.
func (b *build) describeLayers(ctx context.Context, g gw.Client, img *image, st llb.State) error {
	var base ocispecs.Image
	if img.base != nil {
		if err := json.Unmarshal(img.base, &base); err != nil {
			return fmt.Errorf("reading the base image's configuration: %w", err)
		}
	}
	def, err := b.define(ctx, g, img.platform, st)
	if err != nil {
		return err
	}
	layers, class, err := steps.Layers(def, steps.Source{
		Base: len(base.RootFS.DiffIDs), Context: b.context, Handler: b.req.Handler, Lists: b.req.Lists,
	})
	if err != nil {
		img.labels = map[string]string{words.LabelClass: words.ClassRun}
		return nil
	}
	if !b.req.Watchdog.None() {
		layers = layers.With(words.RoleWatchdog, 1)
	}
	img.labels = map[string]string{words.LabelClass: class}
	if len(layers) > 0 {
		img.labels[words.LabelLayers] = layers.String()
	}
	return nil
}
