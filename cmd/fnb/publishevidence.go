package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/plain"
	"fnb/pipeline/inventory"
	"fnb/registry"
	"fnb/sbom"
	"fnb/schema"
	"fnb/trust"
	"fnb/trust/attestation"
	"fnb/trust/evidence"
)

// evidence puts into the record what is attached to the image: how many packages the SBOM of each platform has, whether there
// is a provenance, and which of the keys have signed it. A key that was named and has not is an error. What is attached and cannot
// be read is a note.
func (p *publishing) evidence(ctx context.Context) error {
	image, pinned := &p.o.Image, p.image.Pinned
	all, err := p.registry.Referrers(ctx, pinned, image.Digest, "")
	if err = p.unlisted(err); err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(d v1.Descriptor) bool {
		return attestation.PredicateOf(d.Annotations) == attestation.PredicateProvenance
	}) {
		image.Provenance = attestation.PredicateProvenance
		p.passed("provenance", "%s", image.Provenance)
	}
	for _, one := range p.image.Platforms {
		packages, err := p.packages(ctx, pinned, one.Platform)
		if err != nil {
			return err
		}
		if packages > 0 {
			entry := image.Platforms[one.Platform]
			entry.Packages = packages
			image.Platforms[one.Platform] = entry
			p.passed("sbom", "%s %s", one.Platform, plain.Count(packages, "package", "packages"))
		}
	}
	return p.signers(ctx, image)
}

// unlisted tells that what is attached cannot be listed, which is no error of the image.
func (p *publishing) unlisted(err error) error {
	_, unreliable := errors.AsType[*registry.ReferrersError](err)
	_, wrong := errors.AsType[*registry.AttachedError](err)
	if !unreliable && !wrong {
		return err
	}
	p.tellMore([]string{plain.Error(err).Error()})
	return nil
}

// packages is how many packages the SBOM has that is attached to the image of a platform; 0 where there is none that can be read.
func (p *publishing) packages(ctx context.Context, pinned, platform string) (int, error) {
	of, err := schema.ParsePlatform(platform)
	if err != nil {
		return 0, err
	}
	c, err := p.registry.Open(ctx, pinned, of)
	if err != nil {
		return 0, err
	}
	found, notes, err := inventory.Attached(ctx, p.registry, c)
	if err = p.unlisted(err); err != nil {
		return 0, err
	}
	p.tellMore(notes)
	for _, s := range found {
		d, err := sbom.Read(s.SBOM)
		if err == nil {
			return len(d.Packages), nil
		}
		p.tellMore([]string{fmt.Sprintf("the SBOM for %s is not read: %v", platform, plain.Error(err))})
	}
	return 0, nil
}

// signers are the keys that have signed the image, among those that were named or else that of the record.
func (p *publishing) signers(ctx context.Context, image *schema.RecordImage) error {
	names := p.o.signedBy
	if len(names) == 0 && p.o.key != "" {
		names = []string{p.o.key}
	}
	opts, err := p.keyOptions(keyFlags{})
	if err != nil {
		return err
	}
	for _, name := range names {
		keys, err := trust.OpenPublic(ctx, name, opts)
		if err != nil {
			if len(p.o.signedBy) == 0 {
				return nil //nolint:nilerr // it signs the record, and says there what is wrong with it
			}
			return err
		}
		proof, err := evidence.Verify(ctx, p.registry, p.image.Pinned, image.Digest, keys, evidence.Signature(), time.Now())
		if _, missing := errors.AsType[*evidence.MissingError](err); missing && len(p.o.signedBy) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if by := proof.Key.Fingerprint(); !slices.Contains(image.SignedBy, by) {
			image.SignedBy = append(image.SignedBy, by)
			p.passed("signature", "%s", strings.TrimSpace(by+" "+proof.Key.Comment()))
		}
	}
	slices.Sort(image.SignedBy)
	return nil
}
