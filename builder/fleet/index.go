package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/builder"
	"fnb/schema"
)

// join makes one image of those of several builders. Its index is, byte for
// byte, what BuildKit writes for the same platforms on one builder.
func (d *dispatch) join(ctx context.Context, req builder.Request, parts []*builder.Result) (*builder.Result, error) {
	idx := ocispecs.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageIndex,
		Annotations: parts[0].Labels,
	}
	res := &builder.Result{Platforms: slices.Clone(req.Platforms), Warnings: d.notes, MediaType: idx.MediaType}
	for i, p := range req.Platforms {
		platform := platforms.Normalize(ocispecs.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})
		idx.Manifests = append(idx.Manifests, ocispecs.Descriptor{
			MediaType: parts[i].MediaType, Digest: digest.Digest(parts[i].Digest), Size: parts[i].Size, Platform: &platform,
		})
		res.Sent += parts[i].Sent
		res.Pushed += parts[i].Pushed
		res.CachedPart += parts[i].CachedPart / float64(len(parts))
		for _, l := range parts[i].Lints {
			if !slices.Contains(res.Lints, l) {
				res.Lints = append(res.Lints, l)
			}
		}
		for _, w := range parts[i].Warnings {
			if !slices.Contains(res.Warnings, w) {
				res.Warnings = append(res.Warnings, w)
			}
		}
		res.Builders = append(res.Builders, parts[i].Builders...)
	}
	res.Blob = func(ctx context.Context, digest string) (io.ReadCloser, error) {
		var errs []error
		for _, part := range parts {
			r, err := part.Blob(ctx, digest)
			if err == nil {
				return r, nil
			}
			errs = append(errs, err)
		}
		return nil, errors.Join(errs...)
	}
	slices.Sort(res.Builders)
	res.Builders = slices.Compact(res.Builders)
	if req.Output.Store == "" && len(req.Output.Push) == 0 {
		return res, nil
	}
	raw, err := json.MarshalIndent(idx, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("making the image's index: %w", err)
	}
	res.Digest, res.Size = digest.FromBytes(raw).String(), int64(len(raw))
	if req.Output.Store == "" {
		res.Index = raw
		return res, nil
	}
	return res, builder.AddIndex(ctx, req.Output.Store, raw)
}

// platformTag is a platform as part of a tag: linux-arm-v7.
func platformTag(p schema.Platform) string {
	return strings.ReplaceAll(builder.PlatformName(p), "/", "-")
}
