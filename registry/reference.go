package registry

import (
	"github.com/google/go-containerregistry/pkg/name"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/schema"
)

// A reference is a parsed image reference, in full: it has a tag, a digest, or both.
type reference struct {
	schema.ImageRef
	repo name.Repository
}

// parseReference reads s as [images.ParseReference] does.
func parseReference(s string, opts ...name.Option) (reference, error) {
	ref, err := images.ParseReference(s)
	if err != nil {
		return reference{}, err
	}
	repo, err := name.NewRepository(ref.Name(), opts...)
	if err != nil {
		return reference{}, images.BadReference(s, plain.Short(err.Error()))
	}
	return reference{ImageRef: ref, repo: repo}, nil
}

// name returns r for a request: by tag where it has one.
func (r reference) name() name.Reference {
	if r.Tag != "" {
		return r.repo.Tag(r.Tag)
	}
	return r.repo.Digest(r.Digest)
}

// hostName is the name that people use for a registry.
func hostName(registry string) string {
	if registry == name.DefaultRegistry {
		return "docker.io"
	}
	return registry
}
