package builder

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/builder/protocol"
)

// result reads what the exporter answered.
func result(resp *client.SolveResponse, req *Request, w *watch) (*Result, error) {
	r := &Result{
		Digest:     resp.ExporterResponse[exptypes.ExporterImageDigestKey],
		Platforms:  slices.Clone(req.Platforms),
		CachedPart: w.cachedPart(),
		Warnings:   w.warnings,
		Lints:      w.lints,
		Pushed:     w.pushedBytes(),
		Labels:     req.Config.Labels,
	}
	if enc := resp.ExporterResponse[exptypes.ExporterImageDescriptorKey]; enc != "" {
		raw, err := base64.StdEncoding.DecodeString(enc)
		if err != nil {
			return nil, fmt.Errorf("reading the builder's answer: %w", err)
		}
		var desc ocispecs.Descriptor
		if err := json.Unmarshal(raw, &desc); err != nil {
			return nil, fmt.Errorf("reading the builder's answer: %w", err)
		}
		r.MediaType, r.Size, r.Digest = desc.MediaType, desc.Size, desc.Digest.String()
	}
	if raw := []byte(resp.ExporterResponse[protocol.ManifestKey]); digest.FromBytes(raw).String() == r.Digest {
		r.Manifest = raw
	}
	if r.Digest == "" && (req.Output.Store != "" || len(req.Output.Push) > 0) {
		return nil, errors.New("the builder made an image, but did not say its digest")
	}
	return r, nil
}
