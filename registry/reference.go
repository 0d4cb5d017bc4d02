package registry

import (
	"errors"
	"strings"

	dref "github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"

	"fnb/internal/plain"
	"fnb/schema"
)

// A reference is a parsed image reference. It has a tag, a digest, or both.
type reference struct {
	repo   name.Repository
	tag    string
	digest string // "sha256:…"
}

// parseReference reads s as Docker does, by the grammar that Docker and registries
// use: without a registry it is Docker Hub's, without tag and digest the tag is
// "latest". The error is a [*ReferenceError].
func parseReference(s string, opts ...name.Option) (reference, error) {
	bad := func(err error) (reference, error) {
		return reference{}, &ReferenceError{Reference: plain.Short(s), Reason: plain.Short(err.Error())}
	}
	named, err := dref.ParseNormalizedNamed(s)
	if err != nil {
		if wrong, ok := errors.AsType[*schema.ImageError](schema.ValidateImage(s)); ok {
			return reference{}, &ReferenceError{Reference: plain.Short(s), Reason: plain.Short(wrong.Problem), Err: wrong}
		}
		return bad(err)
	}
	repo, err := name.NewRepository(named.Name(), opts...)
	if err != nil {
		return bad(err)
	}
	r := reference{repo: repo}
	if t, ok := named.(dref.Tagged); ok {
		r.tag = t.Tag()
	}
	if d, ok := named.(dref.Digested); ok {
		r.digest = d.Digest().String()
	}
	if r.digest != "" && !strings.HasPrefix(r.digest, "sha256:") {
		return bad(errors.New("only SHA-256 digests are understood"))
	}
	if r.tag == "" && r.digest == "" {
		r.tag = name.DefaultTag
	}
	return r, nil
}

// String returns r in full, with Docker Hub under its usual name.
func (r reference) String() string {
	s := hostName(r.repo.RegistryStr()) + "/" + r.repo.RepositoryStr()
	if r.tag != "" {
		s += ":" + r.tag
	}
	if r.digest != "" {
		s += "@" + r.digest
	}
	return s
}

// name returns r for a request: by tag where it has one.
func (r reference) name() name.Reference {
	if r.tag != "" {
		return r.repo.Tag(r.tag)
	}
	return r.repo.Digest(r.digest)
}

func (r reference) host() string { return hostName(r.repo.RegistryStr()) }

// hostName is the name that people use for a registry.
func hostName(registry string) string {
	if registry == name.DefaultRegistry {
		return "docker.io"
	}
	return registry
}
