package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fnb/registry"
	"fnb/schema"
)

// An ImageError says that a function's image is not in its registry as its record
// says.
type ImageError struct {
	Name, Version string
	Problem       string
	Err           error // the registry's; may be nil
}

func (e *ImageError) Error() string {
	text := strings.TrimSpace("function "+e.Name+" "+e.Version) + ": " + e.Problem
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns what the registry said.
func (e *ImageError) Unwrap() error { return e.Err }

// VerifyImage asks the registry for the image of a record and compares: the digest,
// and those and the sizes of all platforms. An image that is gone or different is an
// [*ImageError]; what keeps the registry from answering is its own error.
func VerifyImage(ctx context.Context, client *registry.Client, rec schema.Record) error {
	wrong := &ImageError{Name: rec.Name, Version: rec.Version}
	if rec.Image == nil {
		wrong.Problem = "it has no image"
		return wrong
	}
	has, err := client.Describe(ctx, rec.Image.Ref+"@"+rec.Image.Digest)
	if _, gone := errors.AsType[*registry.NotFoundError](err); gone {
		wrong.Problem, wrong.Err = "the image is gone from its registry", err
		return wrong
	}
	if err != nil {
		return fmt.Errorf("function %s: %w", rec.Name, err)
	}
	found := map[string]schema.PlatformImage{}
	for _, p := range has.Platforms {
		found[p.Platform] = schema.PlatformImage{Digest: p.Digest, Size: p.Size}
	}
	for _, name := range slices.Sorted(maps.Keys(rec.Image.Platforms)) {
		switch claimed, is := rec.Image.Platforms[name], found[name]; {
		case is.Digest == "":
			wrong.Problem = fmt.Sprintf("the image is not for %s, as its record says, but for %s", name, strings.Join(slices.Sorted(maps.Keys(found)), ", "))
		case is.Digest != claimed.Digest:
			wrong.Problem = fmt.Sprintf("the image for %s has the digest %s, and its record says %s", name, is.Digest, claimed.Digest)
		case is.Size != claimed.Size:
			wrong.Problem = fmt.Sprintf("the image for %s has %d bytes, and its record says %d", name, is.Size, claimed.Size)
		default:
			continue
		}
		return wrong
	}
	return nil
}
