package inventory

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/registry"
	"fnb/sbom"
)

// A List is what the image of one platform is made of.
type List struct {
	Function  string
	Reference string        // of the whole image, as it was pushed or kept
	Subject   v1.Descriptor // the image of the platform: media type, size and digest
	Document  sbom.Document
	Unread    []string // files of the image that cannot be read
}

// OfStored says what an image of the image store is made of: once for each platform.
func OfStored(ctx context.Context, s *images.Store, ref string, desc v1.Descriptor, about About) ([]List, error) {
	all, err := s.Platforms(ctx, desc)
	if err != nil {
		return nil, err
	}
	var out []List
	for _, d := range all {
		img, err := s.Image(d)
		if err != nil {
			return nil, err
		}
		made := List{Reference: ref, Subject: v1.Descriptor{MediaType: d.MediaType, Size: d.Size, Digest: d.Digest}}
		if made.Document, made.Unread, err = Image(ctx, img, about); err != nil {
			return nil, err
		}
		out = append(out, made)
	}
	return out, nil
}

// OfReference says what the image that ref names in its registry is made of, by its layers.
func OfReference(ctx context.Context, of *registry.Contents) (List, error) {
	d, unread, err := Image(ctx, of.Image, About{Repository: of.Repository})
	return List{Reference: of.Reference, Subject: of.Descriptor, Document: d, Unread: unread}, err
}
