package inventory

import (
	"context"
	"fmt"

	"fnb/registry"
	"fnb/sbom"
	"fnb/schema"
	"fnb/trust/attestation"
)

// OfBase returns the reference of the SBOM that the base image of a document has of its own: what BuildKit has put into its
// index, or what is attached to it in its registry. "" is none, also where there is no base image.
func OfBase(ctx context.Context, c *registry.Client, d *sbom.Document) (string, error) {
	if d.Base.Digest == "" {
		return "", nil
	}
	ref, err := schema.ParseImageRef(d.Base.Reference)
	if err != nil {
		return "", err
	}
	platform, err := schema.ParsePlatform(d.Subject.Platform)
	if err != nil {
		return "", err
	}
	of, err := c.Open(ctx, ref.Name()+"@"+d.Base.Digest, platform)
	if err != nil {
		return "", fmt.Errorf("looking for the SBOM of the base image: %w", err)
	}
	for _, p := range []string{attestation.PredicateSPDX, attestation.PredicateCycloneDX} {
		digest, err := of.Says(ctx, p)
		if err != nil || digest != "" {
			return named(of, digest), err
		}
	}
	all, err := Listed(ctx, c, of)
	if err != nil {
		return "", err
	}
	for _, a := range all {
		if isSBOM(attestation.PredicateOf(a.Annotations)) {
			return named(of, a.Digest.String()), nil
		}
	}
	return "", nil
}

func named(of *registry.Contents, digest string) string {
	if digest == "" {
		return ""
	}
	return of.Repository + "@" + digest
}
