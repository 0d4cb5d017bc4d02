package registry

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// A reference is a parsed image reference. It has a tag, a digest, or both.
type reference struct {
	repo   name.Repository
	tag    string
	digest string // "sha256:…"
}

// parseReference reads s as Docker does: without a registry it is Docker Hub's,
// without tag and digest the tag is "latest". The error is a [*ReferenceError].
func parseReference(s string, opts ...name.Option) (reference, error) {
	bad := func(err error) (reference, error) {
		reason := strings.TrimPrefix(err.Error(), "could not parse reference: ")
		if reason == s {
			reason = "want [HOST/]REPOSITORY[:TAG][@DIGEST], in lower case"
		}
		return reference{}, &ReferenceError{Reference: clean(s), Reason: clean(reason)}
	}
	base, digest, hasDigest := strings.Cut(s, "@")
	tag, err := name.NewTag(base, opts...)
	if err != nil {
		return bad(err)
	}
	r := reference{repo: tag.Context(), tag: tag.TagStr()}
	if !hasDigest {
		return r, nil
	}
	d, err := name.NewDigest(s, opts...)
	if err != nil {
		return bad(err)
	}
	r.digest = digest
	if d.Context().Name()+":"+r.tag != tag.Name() || !strings.HasSuffix(base, ":"+r.tag) {
		r.tag = ""
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
