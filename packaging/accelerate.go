package packaging

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"fnb/templates"
	"fnb/templates/tree"
)

// accelerate puts the Dockerfile with cache mounts in place of one that has
// none. What is built, shown and hashed is the file with the mounts.
func (a *assembly) accelerate(context.Context) error {
	at := slices.IndexFunc(a.entries, func(e tree.Entry) bool { return e.Path == dockerfileName && e.Mode.IsRegular() })
	if a.in.NoAccelerate || at < 0 {
		return nil
	}
	view, err := tree.New(a.entries[at : at+1])
	if err != nil {
		return err
	}
	data, err := fs.ReadFile(view, dockerfileName)
	if err != nil {
		return err
	}
	args, err := a.buildArgs()
	if err != nil {
		return err
	}
	faster, cached := templates.Accelerate(data, templates.AccelerateOptions{
		Target: a.in.Target, Args: args, Caches: a.in.Template.Manifest.Caches,
	})
	if len(cached) == 0 {
		return nil
	}
	mode := a.entries[at].Mode
	a.entries[at] = tree.Bytes(dockerfileName, faster)
	a.entries[at].Mode = mode
	for _, line := range slices.Sorted(maps.Keys(cached)) {
		a.cached = append(a.cached, fmt.Sprintf("%s:%d: RUN keeps %s from one build to the next",
			dockerfileName, line, strings.Join(cached[line], " and ")))
	}
	return nil
}
