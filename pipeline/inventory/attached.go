package inventory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/registry"
	"fnb/sbom"
	"fnb/trust"
	"fnb/trust/attestation"
)

// A Statement is an SBOM that somebody has made of an image.
type Statement struct {
	Predicate string // its type
	SBOM      []byte
	Signed    bool // it has a signature, which nobody has checked

	found  *attestation.Found
	digest string // of what is attached
}

// By is an error unless one of the keys has signed the SBOM.
func (s *Statement) By(keys []trust.TrustedKey, now time.Time) error {
	if s.found == nil {
		return errors.New("nobody has signed it")
	}
	_, err := s.found.Verify(keys, now)
	return err
}

// Resource names what is attached, in another statement.
func (s *Statement) Resource() attestation.Resource {
	r := attestation.Image(s.digest)
	r.Name = "SBOM"
	return r
}

// maxAttached is how many things attached to an image are read that may be SBOMs.
const maxAttached = 100

// Attached returns the SBOMs that are attached to an image in its registry, and those that BuildKit has put into
// its index. What is about another image, or cannot be read, is left out, and why is among the notes.
func Attached(ctx context.Context, c *registry.Client, of *registry.Contents) (found []Statement, notes []string, err error) {
	all, err := Listed(ctx, c, of)
	if err != nil {
		return nil, nil, err
	}
	return Statements(ctx, c, of, all)
}

// Listed are what is attached to an image in its registry and may be an SBOM, as far as the list of its referrers says. More
// than 100 are a [registry.ReferrersError].
func Listed(ctx context.Context, c *registry.Client, of *registry.Contents) ([]v1.Descriptor, error) {
	digest := of.Descriptor.Digest.String()
	all, err := c.Referrers(ctx, of.Reference, digest, "")
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(d v1.Descriptor) bool {
		p := attestation.PredicateOf(d.Annotations)
		return p != "" && !isSBOM(p) || d.ArtifactType != "" && !attestation.Carries(d.ArtifactType)
	})
	if len(all) > maxAttached {
		return nil, &registry.ReferrersError{Reference: of.Reference, Subject: digest, Count: len(all), Most: maxAttached}
	}
	return all, nil
}

// Statements are the SBOMs among what [Listed] has listed, and those in the image's index: see [Attached].
func Statements(ctx context.Context, c *registry.Client, of *registry.Contents, listed []v1.Descriptor) (found []Statement, notes []string, err error) {
	for _, d := range listed {
		s, err := attached(ctx, c, of.Reference, of.Descriptor.Digest.String(), d)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil:
			notes = append(notes, err.Error())
		case s != nil:
			found = append(found, *s)
		}
	}
	for _, p := range []string{attestation.PredicateSPDX, attestation.PredicateCycloneDX} {
		raw, err := of.Statement(ctx, p, sbom.MaxBytes)
		if err != nil {
			return nil, nil, err
		}
		if raw == nil {
			continue
		}
		s, err := attestation.ParseStatement(raw)
		if err != nil {
			notes = append(notes, "what BuildKit says of the image: "+err.Error())
			continue
		}
		found = append(found, Statement{Predicate: p, SBOM: s.Predicate})
	}
	return found, notes, nil
}

func isSBOM(predicate string) bool {
	return predicate == attestation.PredicateSPDX || predicate == attestation.PredicateCycloneDX
}

func attached(ctx context.Context, c *registry.Client, ref, digest string, d v1.Descriptor) (*Statement, error) {
	a, err := c.Attached(ctx, ref, digest, d, attestation.MaxBytes)
	if err != nil {
		return nil, err
	}
	if !attestation.Carries(a.ArtifactType) {
		return nil, nil //nolint:nilnil // it is something else
	}
	f, err := attestation.Read(a.ArtifactType, a.Blob)
	if err != nil {
		return nil, err
	}
	if f.Statement == nil || !isSBOM(f.Statement.PredicateType) {
		return nil, nil //nolint:nilnil // the same
	}
	if err := f.Says(digest, f.Statement.PredicateType); err != nil {
		return nil, err
	}
	if len(f.Statement.Predicate) > sbom.MaxBytes {
		return nil, errors.New("an SBOM of the image is larger than what is read")
	}
	return &Statement{Predicate: f.Statement.PredicateType, SBOM: f.Statement.Predicate, Signed: attestation.IsBundle(a.ArtifactType), found: f, digest: d.Digest.String()}, nil
}

// In returns the first of the SBOMs that can be read, in a format; those that were written in it are
// preferred, and are returned with all that they say. nil is none.
func In(found []Statement, f sbom.Format) (data []byte, notes []string) {
	for _, asIs := range []bool{true, false} {
		for _, s := range found {
			if asIs != (s.Predicate == predicateOf(f)) {
				continue
			}
			d, err := sbom.Read(s.SBOM)
			if err == nil && asIs {
				return indented(s.SBOM), notes
			}
			if err == nil {
				data, err = d.Write(f)
			}
			if err == nil {
				return data, notes
			}
			notes = append(notes, err.Error())
		}
	}
	return nil, notes
}

// indented is JSON on many lines, as people read it; in a statement it is on one.
func indented(data []byte) []byte {
	var b bytes.Buffer
	if json.Indent(&b, data, "", "  ") != nil {
		return data
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func predicateOf(f sbom.Format) string {
	if f == sbom.FormatCycloneDX {
		return attestation.PredicateCycloneDX
	}
	return attestation.PredicateSPDX
}

// Statement says what the image is made of, as SPDX.
func (l List) Statement() (*attestation.Statement, error) {
	data, err := l.Document.SPDX()
	if err != nil {
		return nil, err
	}
	return attestation.New(attestation.PredicateSPDX, json.RawMessage(data), attestation.Image(l.Subject.Digest.String()))
}
