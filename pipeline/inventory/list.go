package inventory

import (
	"bytes"
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/registry"
	"fnb/sbom"
	"fnb/sbom/scan"
)

// A List is what the image of one platform is made of.
type List struct {
	Reference string        // of the whole image, as it was pushed or kept
	Subject   v1.Descriptor // the image of the platform: media type, size and digest
	Document  sbom.Document
	Unread    []string // files of the image that cannot be read
}

// Of says what an image is made of, wherever it is: once for each platform. raw is the manifest or index that desc describes; open
// opens what is below it, and compares what is read with its digest.
func Of(ctx context.Context, ref string, desc v1.Descriptor, raw []byte, open func(v1.Descriptor) (io.ReadCloser, error), about About) ([]List, error) {
	if !desc.MediaType.IsIndex() {
		one, err := ofPlatform(ctx, ref, desc, raw, open, about)
		if err != nil {
			return nil, err
		}
		return []List{one}, nil
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("reading the image's index: %w", err)
	}
	var out []List
	for _, d := range index.Manifests {
		if !d.MediaType.IsImage() || !images.ForPlatform(d) {
			continue
		}
		raw, err := images.Read(d, open)
		if err != nil {
			return nil, err
		}
		one, err := ofPlatform(ctx, ref, d, raw, open, about)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func ofPlatform(ctx context.Context, ref string, desc v1.Descriptor, raw []byte, open func(v1.Descriptor) (io.ReadCloser, error), about About) (List, error) {
	img, err := images.ImageOf(desc, raw, open)
	if err != nil {
		return List{}, err
	}
	made := List{Reference: ref, Subject: v1.Descriptor{MediaType: desc.MediaType, Size: desc.Size, Digest: desc.Digest}}
	made.Document, made.Unread, err = Image(ctx, img, about)
	return made, err
}

// OfStored says what an image of the image store is made of: once for each platform.
func OfStored(ctx context.Context, s *images.Store, ref string, desc v1.Descriptor, about About) ([]List, error) {
	raw, err := s.Manifest(desc)
	if err != nil {
		return nil, err
	}
	return Of(ctx, ref, desc, raw, s.Open, about)
}

// OfReference says what the image that ref names in its registry is made of, by its layers, of which known may know some.
func OfReference(ctx context.Context, of *registry.Contents, known *scan.Cache) (List, error) {
	d, unread, err := Image(ctx, of.Image, About{Repository: of.Repository, Layers: known})
	return List{Reference: of.Reference, Subject: of.Descriptor, Document: d, Unread: unread}, err
}
