package schema

import (
	"strings"

	"github.com/distribution/reference"
)

// An ImageRef is an image reference taken apart. The zero value names nothing, and is
// what a text that is no reference gives.
type ImageRef struct {
	Registry   string // its host, with a port where it has one; docker.io for Docker Hub
	Repository string // in the registry: library/golang
	Tag        string // "" where none is named
	Digest     string // sha256:… ; "" where none is named
}

// defaultTag is what a reference without tag and digest means.
const defaultTag = "latest"

// ParseImageRef reads a reference as Docker does, by the grammar that Docker and
// registries use: golang:1.26 is docker.io/library/golang:1.26. What is left out stays
// left out; see [ImageRef.Full]. The error is an [*ImageError].
func ParseImageRef(s string) (ImageRef, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return ImageRef{}, &ImageError{Image: withoutPassword(s), Problem: malformed(s), Slashed: slashed(s)}
	}
	ref := ImageRef{Registry: reference.Domain(named), Repository: reference.Path(named)}
	if tagged, ok := named.(reference.Tagged); ok {
		ref.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		ref.Digest = digested.Digest().String()
	}
	return ref, nil
}

// String returns r with its registry, as [ParseImageRef] reads it: "" for the zero
// value.
func (r ImageRef) String() string {
	var b strings.Builder
	b.WriteString(r.Name())
	if r.Tag != "" {
		b.WriteString(":" + r.Tag)
	}
	if r.Digest != "" {
		b.WriteString("@" + r.Digest)
	}
	return b.String()
}

// Name returns registry and repository, which all images of a repository have in
// common.
func (r ImageRef) Name() string {
	if r.Registry == "" {
		return r.Repository
	}
	return r.Registry + "/" + r.Repository
}

// Full returns r with the tag latest where it has neither tag nor digest: two
// references that name the same are equal then.
func (r ImageRef) Full() ImageRef {
	if r.Tag == "" && r.Digest == "" && r.Repository != "" {
		r.Tag = defaultTag
	}
	return r
}

// Exact returns what decides which image r names: the digest where it has one, whatever
// its tag says, and the tag otherwise.
func (r ImageRef) Exact() ImageRef {
	if r.Digest != "" {
		r.Tag = ""
	}
	return r.Full()
}

// WithTag returns a tag of the same repository.
func (r ImageRef) WithTag(tag string) ImageRef {
	r.Tag, r.Digest = tag, ""
	return r
}

// Pinned returns the image of the same repository that has the digest.
func (r ImageRef) Pinned(digest string) ImageRef {
	r.Tag, r.Digest = "", digest
	return r
}

// SameImage reports whether two functions have the same image in full.
func (f Function) SameImage(other Function) bool {
	a, aerr := ParseImageRef(f.Image)
	b, berr := ParseImageRef(other.Image)
	return aerr == nil && berr == nil && a.Same(b)
}

// Same reports whether two references are the same in full: repository, tag and
// digest.
func (r ImageRef) Same(other ImageRef) bool {
	return r.Repository != "" && r.Full() == other.Full()
}
