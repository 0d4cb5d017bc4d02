// Package evidence finds what is said of an image at its registry, and checks who says it.
//
// [Sign] adds a signature, [Seal] makes of any statement what is attached, [Verify] wants a statement of one type by one of several keys. A signature is
// [attestation.PredicateSignature] and nothing else: that somebody has signed a list of packages does
// not say that they have signed the image.
package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/registry"
	"fnb/trust"
	"fnb/trust/attestation"
)

// maxCandidates is how many things attached to an image are read to find one that counts.
const maxCandidates = 200

// A Want is a statement that an image must have.
type Want struct {
	What       string   // in words, such as "SBOM"
	Predicates []string // one of these
}

// Signature is what [Sign] makes.
func Signature() Want { return Want{"signature", []string{attestation.PredicateSignature}} }

// SBOM is a list of what an image is made of, in either form.
func SBOM() Want {
	return Want{"SBOM", []string{attestation.PredicateSPDX, attestation.PredicateCycloneDX}}
}

// Provenance is where an image comes from.
func Provenance() Want { return Want{"provenance", []string{attestation.PredicateProvenance}} }

// A Proof is a statement about an image by a key that was asked for.
type Proof struct {
	What      string
	Key       trust.TrustedKey
	Statement *attestation.Statement
	Digest    string // of what is attached
}

// A MissingError says that an image has no statement that counts, and what it has instead.
type MissingError struct {
	Reference string
	Digest    string
	Want      Want
	Others    []string // types of statements that are attached, and were not asked for
	Unsigned  bool     // it has one that nobody has signed
	Old       bool     // it has signatures in the form of cosign before v3
	Why       []error  // what is wrong with those that were asked for
}

func (e *MissingError) Error() string {
	s := fmt.Sprintf("%s: no %s of the image counts", e.Reference, e.Want.What)
	switch {
	case len(e.Why) > 0:
		var words []string
		for _, err := range e.Why {
			if text := err.Error(); !slices.Contains(words, text) {
				words = append(words, text)
			}
		}
		s += ": " + strings.Join(words, "; ")
	case e.Unsigned:
		s += ": it has one that nobody has signed"
	case e.Old:
		s += ": it is signed in the form that cosign had before version 3"
	case len(e.Others) > 0:
		s = fmt.Sprintf("%s: the image has no %s, only: %s", e.Reference, e.Want.What, strings.Join(e.Others, ", "))
	default:
		s = fmt.Sprintf("%s: the image has no %s", e.Reference, e.Want.What)
	}
	return s
}

// Unwrap returns what is wrong with all of them.
func (e *MissingError) Unwrap() error { return errors.Join(e.Why...) }

// Sign signs the image of a digest in ref's repository, and attaches the signature. Where there is one by that
// key already, nothing is changed. Of subject all is used, and without a digest it is what ref names.
func Sign(ctx context.Context, c *registry.Client, ref string, subject v1.Descriptor, signer *trust.Signer) (changed bool, err error) {
	if subject.Digest == (v1.Hash{}) {
		if subject, err = c.Head(ctx, ref); err != nil {
			return false, err
		}
	}
	digest := subject.Digest.String()
	found, err := search(ctx, c, ref, digest, Signature())
	if err != nil {
		return false, err
	}
	by := []trust.TrustedKey{{PublicKey: signer.Key()}}
	for _, f := range found.fit {
		if _, err := f.Verify(by, time.Now()); err == nil {
			return false, nil
		}
	}
	a, err := Seal(ctx, attestation.Signature(digest), signer)
	if err == nil {
		_, err = c.Attach(ctx, ref, subject, a)
	}
	return err == nil, err
}

// Seal makes of a statement what is attached to the image that it is about: signed, unless signer is nil.
func Seal(ctx context.Context, s *attestation.Statement, signer *trust.Signer) (registry.Attachment, error) {
	if signer == nil {
		a, err := attestation.Unsigned(s)
		return registry.Attachment(a), err
	}
	a, err := attestation.Sign(ctx, signer, s)
	return registry.Attachment(a), err
}

// Verify returns the proof that one of the keys says what is wanted of the image of a digest in ref's
// repository. Where there is none, a [*MissingError] says what there is.
func Verify(ctx context.Context, c *registry.Client, ref, digest string, keys []trust.TrustedKey, want Want, now time.Time) (Proof, error) {
	found, err := search(ctx, c, ref, digest, want)
	if err != nil {
		return Proof{}, err
	}
	missing := &MissingError{Reference: ref, Digest: digest, Want: want, Others: found.others, Why: found.bad}
	for _, f := range found.fit {
		by, err := f.Verify(keys, now)
		if err == nil {
			return Proof{What: want.What, Key: by, Statement: f.Statement, Digest: f.digest}, nil
		}
		missing.Why = append(missing.Why, err)
	}
	if len(missing.Why) == 0 {
		err = missing.look(ctx, c)
	}
	return Proof{}, errors.Join(err, missing)
}

// look finds out what there is beside signed statements.
func (e *MissingError) look(ctx context.Context, c *registry.Client) error {
	all, err := c.Referrers(ctx, e.Reference, e.Digest, attestation.MediaTypeStatement)
	if err != nil {
		return err
	}
	e.Unsigned = slices.ContainsFunc(all, func(d v1.Descriptor) bool {
		return d.ArtifactType == attestation.MediaTypeStatement && slices.Contains(e.Want.Predicates, attestation.PredicateOf(d.Annotations))
	})
	e.Old, err = c.HasTag(ctx, e.Reference, strings.Replace(e.Digest, ":", "-", 1)+".sig")
	return err
}

// candidates are the signed statements about an image.
type candidates struct {
	fit    []one
	others []string // types that were not asked for
	bad    []error  // what is wrong with what might have been asked for
}

type one struct {
	*attestation.Found
	digest string
}

func search(ctx context.Context, c *registry.Client, ref, digest string, want Want) (candidates, error) {
	var out candidates
	all, err := c.Referrers(ctx, ref, digest, attestation.MediaTypeBundle)
	if err != nil {
		return out, err
	}
	read := 0
	for _, d := range all {
		announced := attestation.PredicateOf(d.Annotations)
		if announced != "" && !slices.Contains(want.Predicates, announced) {
			out.other(announced)
			continue
		}
		if read++; read > maxCandidates {
			return out, &registry.ReferrersError{Reference: ref, Subject: digest, Count: len(all), Most: maxCandidates}
		}
		a, err := c.Attached(ctx, ref, digest, d, attestation.MaxBytes)
		if _, bad := errors.AsType[*registry.AttachedError](err); bad {
			out.bad = append(out.bad, err)
			continue
		}
		if err != nil {
			return out, err
		}
		if !attestation.IsBundle(a.ArtifactType) {
			continue // the registry did not say of what type it is
		}
		f, err := attestation.Read(a.ArtifactType, a.Blob)
		if err == nil && announced == "" && !slices.Contains(want.Predicates, f.Statement.PredicateType) {
			out.other(f.Statement.PredicateType)
			continue
		}
		if err == nil {
			err = f.Says(digest, want.Predicates...)
		}
		if err != nil {
			out.bad = append(out.bad, err)
			continue
		}
		out.fit = append(out.fit, one{f, d.Digest.String()})
	}
	return out, nil
}

func (c *candidates) other(predicate string) {
	if !slices.Contains(c.others, predicate) {
		c.others = append(c.others, predicate)
	}
}
