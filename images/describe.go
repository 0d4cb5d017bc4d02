package images

import (
	"context"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/schema"
)

// A Description is what an image of the store is made of.
type Description struct {
	Bytes     int64                   // of all that is on disk for it, what other images share included
	Created   time.Time               // of the first platform's image; zero where it does not say
	Platforms []schema.PlatformReport // in the order of its index
	Labels    map[string]string       // of the first platform's image
	Config    v1.Config               // of the first platform's image
}

// Describe reads what an image is made of, without its layers. What is not whole is a
// [*DamagedError].
func (s *Store) Describe(ctx context.Context, desc v1.Descriptor) (Description, error) {
	t, err := s.Walk(ctx, desc)
	if err != nil {
		return Description{}, err
	}
	var out Description
	for _, b := range slices.Concat(t.Blobs, t.Manifests) {
		out.Bytes += b.Size
	}
	all, err := s.Platforms(ctx, desc)
	if err != nil {
		return Description{}, err
	}
	for i, d := range all {
		img, p, err := s.report(d)
		if err != nil {
			return Description{}, err
		}
		out.Platforms = append(out.Platforms, p)
		if i > 0 {
			continue
		}
		config, err := img.ConfigFile()
		if err != nil {
			return Description{}, &DamagedError{Digest: d.Digest.String(), Reason: "its configuration cannot be read"}
		}
		out.Labels, out.Config, out.Created = config.Config.Labels, config.Config, config.Created.Time
	}
	return out, nil
}

// Reports says what the image of each platform below desc is, in the order of its index.
func (s *Store) Reports(ctx context.Context, desc v1.Descriptor) ([]schema.PlatformReport, error) {
	all, err := s.Platforms(ctx, desc)
	if err != nil {
		return nil, err
	}
	var out []schema.PlatformReport
	for _, d := range all {
		_, p, err := s.report(d)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// report reads one image, and says what it is; its platform is "" where it names none.
func (s *Store) report(d v1.Descriptor) (v1.Image, schema.PlatformReport, error) {
	p := schema.PlatformReport{Digest: d.Digest.String()}
	img, err := s.Image(d)
	if err != nil {
		return nil, p, err
	}
	m, err := img.Manifest()
	if err != nil {
		return nil, p, err
	}
	if d.Platform != nil {
		p.Platform = PlatformOf(d).String()
	}
	for _, l := range m.Layers {
		p.Size += l.Size
	}
	return img, p, nil
}
