package packaging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"fnb/templates"
	"fnb/templates/tree"
)

// addDockerfile reads the Dockerfile, and puts one with cache mounts in the place of
// one that has none. What is built, shown and hashed is the file with the mounts.
func (a *assembly) addDockerfile(context.Context) (err error) {
	defer func() {
		switch {
		case err == nil:
		case a.folder == ".":
			err = &FolderError{Dir: a.in.Function.Handler, Err: err}
		default:
			err = fmt.Errorf("template %s: %w", a.in.Template.Name, err)
		}
	}()
	data, file, err := a.dockerfileText()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("it has no %s: %w", dockerfileName, fs.ErrNotExist)
	}
	if err != nil {
		return err
	}
	if a.dockerfile, err = templates.ReadDockerfile(dockerfileName, data, a.args); err != nil {
		return err
	}
	if a.giveArgs(a.dockerfile) {
		if a.dockerfile, err = templates.ReadDockerfile(dockerfileName, data, a.args); err != nil {
			return err
		}
	}
	if a.in.NoAccelerate || file < 0 {
		return nil
	}
	faster, cached := a.dockerfile.Accelerate(a.in.Target, a.in.Template.Manifest.Caches)
	if len(cached) == 0 {
		return nil
	}
	a.dockerfile = faster
	mode := a.entries[file].Mode
	a.entries[file] = tree.Bytes(dockerfileName, faster.Data)
	a.entries[file].Mode = mode
	for _, line := range slices.Sorted(maps.Keys(cached)) {
		a.details = append(a.details, fmt.Sprintf("%s:%d: RUN keeps %s from one build to the next",
			dockerfileName, line, strings.Join(cached[line], " and ")))
	}
	return nil
}
