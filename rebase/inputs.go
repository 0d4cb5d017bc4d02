package rebase

import (
	"context"
	"encoding/json"
	"slices"

	"fnb/packaging"
	"fnb/pipeline/provenance"
	"fnb/registry"
	"fnb/registry/whole"
	"fnb/trust/attestation"
)

// InputsOf are what decided an image, of which it has the digest in a label, as it is attached to the
// image. Nobody has to be trusted: a list with that digest is that list. nil is not known.
func InputsOf(ctx context.Context, c *registry.Client, w *whole.Image, digest string) (packaging.Inputs, error) {
	if digest == "" {
		return nil, nil
	}
	image := w.Descriptor.Digest.String()
	all, err := c.Referrers(ctx, w.Pinned, image, "")
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if p := attestation.PredicateOf(d.Annotations); p != "" && p != provenance.PredicateInputs {
			continue
		}
		a, err := c.Attached(ctx, w.Pinned, image, d, attestation.MaxBytes)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil || !attestation.Carries(a.ArtifactType) {
			continue // it is something else, or of somebody else
		}
		f, err := attestation.Read(a.ArtifactType, a.Blob)
		if err != nil || f.Statement == nil || f.Statement.PredicateType != provenance.PredicateInputs {
			continue
		}
		var list struct {
			Inputs packaging.Inputs `json:"inputs"`
		}
		if err := json.Unmarshal(f.Statement.Predicate, &list); err == nil && list.Inputs.Digest() == digest {
			return list.Inputs, nil
		}
	}
	return nil, nil
}

// moved are inputs with other base images and watchdogs, by the names of their entries.
func moved(in packaging.Inputs, now map[string]string) packaging.Inputs {
	out := slices.Clone(in)
	for i := range out {
		if v, ok := now[out[i].Name]; ok {
			out[i].Value = v
		}
	}
	return out
}
