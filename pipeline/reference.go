package pipeline

import (
	"strings"

	"fnb/images"
	"fnb/schema"
)

// A Reference is one that an image gets: as the stack file has it, which is what people,
// registries and the image store are told, and what it says.
type Reference struct {
	Text string
	Says schema.ImageRef // in full
}

// ParseReference reads a reference that a registry would take. The error is a
// [*schema.ImageError].
func ParseReference(text string) (Reference, error) {
	says, err := images.ParseReference(text)
	return Reference{Text: text, Says: says}, err
}

// WithTag is a tag of the same repository, which stays as it was written.
func (r Reference) WithTag(tag string) Reference {
	bare := strings.TrimSuffix(strings.TrimSuffix(r.Text, "@"+r.Says.Digest), ":"+r.Says.Tag)
	return Reference{Text: bare + ":" + tag, Says: r.Says.WithTag(tag)}
}

// textsOf are references as they were written.
func textsOf(refs []Reference) []string {
	out := make([]string, len(refs))
	for i, r := range refs {
		out[i] = r.Text
	}
	return out
}
