package rebase

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/packaging"
	"fnb/pipeline/attest"
	"fnb/pipeline/inventory"
	"fnb/pipeline/provenance"
	"fnb/registry"
	"fnb/sbom"
	"fnb/schema"
	"fnb/schema/words"
	"fnb/trust"
	"fnb/trust/attestation"
)

// Evidence is what is said of images that are written. It is attached before a tag names them.
type Evidence struct {
	*attest.Attester
	Version string // of fnb
	// Keys are those whose word about what is in an image counts, by its reference. Without a signer, and with nil, anybody's
	// does, since nobody signs what follows from it.
	Keys func(ref string) []trust.TrustedKey
}

// Proofs, as a provenance names them.
const (
	proofBelow    = "underneath" // the old base image is underneath, with its layers and its history
	proofWritten  = "written"    // with the old base image the same bytes are written again
	proofCopied   = "copied"     // no step ran in the base image
	proofFits     = "compatible" // distribution, its packages, libc and runtimes
	proofRebuilt  = "rebuilt"    // a build of the first image of its class gave what the plan said
	proofContract = "tested"     // the contract test has passed
)

// attest says of an image that is in its registry, and has no name yet, how it was made and what is in it.
func (w *work) attest(ctx context.Context) error {
	e, ref := w.applier.Evidence, w.image.Repository+"@"+w.made.digest
	if e.Attester == nil || !e.Any() || e.Refused(ref) {
		return nil
	}
	var all []attest.Said
	var read []attestation.Resource
	for n := 0; e.Wants.SBOM && n < len(w.made.parts); n++ {
		s, of, err := w.inventory(ctx, n)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && e.Wants.Demanded {
			return fmt.Errorf("saying what is in it: %w", err)
		}
		if err != nil {
			w.notes = append(w.notes, "it has no SBOM: "+err.Error())
		}
		if s != nil {
			all = append(all, attest.Said{Subject: w.made.parts[n].Descriptor, Statements: []*attestation.Statement{s}})
		}
		if of != nil {
			read = append(read, *of)
		}
	}
	desc, err := w.descriptor()
	if err != nil {
		return err
	}
	if e.Wants.Provenance != "" {
		made, err := w.provenance(ctx, read)
		if err != nil {
			return err
		}
		all = append(all, attest.Said{Subject: desc, Statements: made})
	}
	notes, err := e.Put(ctx, ref, desc, all)
	w.notes = append(w.notes, notes...)
	return err
}

// descriptor describes the image as it has become.
func (w *work) descriptor() (v1.Descriptor, error) {
	h, err := v1.NewHash(w.made.digest)
	return v1.Descriptor{MediaType: w.whole.Descriptor.MediaType, Digest: h, Size: int64(len(w.made.raw))}, err
}

// provenance says how the image came to be.
func (w *work) provenance(ctx context.Context, read []attestation.Resource) ([]*attestation.Statement, error) {
	e, i := w.applier.Evidence, w.image
	r := provenance.Rebase{
		Function: i.Function, Image: i.Reference(), SBOMs: read, Proofs: []string{proofBelow, proofWritten},
		Version: e.Version, Began: w.began, Ended: time.Now(),
	}
	for _, p := range i.Platforms {
		r.Platforms = append(r.Platforms, p.Platform)
	}
	for n, s := range w.swaps {
		if s.Watchdog == nil {
			continue
		}
		if r.Watchdogs == nil {
			r.Watchdogs = map[string]string{}
		}
		r.Watchdogs[platformOf(*w.whole.Parts[n].Descriptor.Platform)] = s.Watchdog.Digest.String()
	}
	if i.Base != nil {
		r.Base, r.From, r.To = i.Base.Reference, i.Base.From, i.Base.To
		r.Proofs = append(r.Proofs, proofCopied, proofFits)
	}
	if w.claim && w.applier.Rebuild != nil {
		r.Proofs = append(r.Proofs, proofRebuilt)
	}
	if w.checked && w.applier.Smoke != nil {
		r.Proofs = append(r.Proofs, proofContract)
	}
	if w.claim && i.Inputs != "" { // the next rebase goes on from there
		in, err := w.inputs(ctx)
		if err != nil {
			return nil, err
		}
		r.Inputs = in
	}
	return r.Statements(w.made.digest, e.Wants.Provenance)
}

// inputs are those of what the image has become; nil where those that it had are not attached any more.
func (w *work) inputs(ctx context.Context) (packaging.Inputs, error) {
	in, err := InputsOf(ctx, w.applier.Registry, w.whole, w.change.labels[words.LabelInput])
	if in == nil || err != nil {
		return nil, err
	}
	if in = moved(in, w.change.inputs()); in.Digest() != w.image.Inputs {
		return nil, nil
	}
	return in, nil
}

// inventory says what is in the image of a platform: what its SBOM says, with the packages of the new base image. If that
// does not tell, or is nobody's whose word counts, the image is looked into. nil is that it has no SBOM. of is the one
// that was believed.
func (w *work) inventory(ctx context.Context, n int) (s *attestation.Statement, of *attestation.Resource, err error) {
	a, e := w.applier, w.applier.Evidence
	ref := w.image.Repository + "@" + w.whole.Parts[n].Descriptor.Digest.String()
	was := &registry.Contents{Reference: ref, Descriptor: w.whole.Parts[n].Descriptor}
	listed, err := inventory.Listed(ctx, a.Registry, was)
	if err != nil || len(listed) == 0 {
		return nil, nil, err
	}
	found, _, err := inventory.Statements(ctx, a.Registry, was, listed)
	if err != nil || len(found) == 0 {
		return nil, nil, err
	}
	for _, f := range found {
		if e.Signer != nil && f.By(e.keys(w.image.Name()), time.Now()) != nil {
			continue
		}
		doc, err := sbom.Read(f.SBOM)
		if err == nil {
			err = w.update(ctx, n, &doc)
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			continue // another one may tell
		}
		r := f.Resource()
		s, err := inventory.List{Subject: w.made.parts[n].Descriptor, Document: doc}.Statement()
		return s, &r, err
	}
	s, err = w.look(ctx, n)
	return s, nil, err
}

// keys are those whose word counts about an image.
func (e *Evidence) keys(ref string) []trust.TrustedKey {
	keys := []trust.TrustedKey{{PublicKey: e.Signer.Key()}}
	if e.Keys != nil {
		keys = append(keys, e.Keys(ref)...)
	}
	return keys
}

// update has a document about the image of a platform say what is in it now.
func (w *work) update(ctx context.Context, n int, doc *sbom.Document) error {
	was, is := w.whole.Parts[n].Descriptor, w.made.parts[n].Descriptor
	if doc.Subject.Digest != was.Digest.String() {
		return errors.New("the SBOM is about another image")
	}
	doc.Subject.Digest = is.Digest.String()
	if l := w.swaps[n].Watchdog; l != nil {
		found, err := l.contents(ctx, w.applier.shelf.layers)
		if err == nil {
			err = doc.ReplaceProgram(watchdogFile, found.Packages)
		}
		if err != nil {
			return err
		}
		doc.Watchdog.Digest = l.Digest.String()
	}
	if w.image.Base == nil {
		return nil
	}
	old, err := w.change.old.contents(ctx, w.swaps[n].Old)
	if err != nil {
		return err
	}
	to, err := w.change.to.contents(ctx, w.swaps[n].New)
	if err != nil {
		return err
	}
	doc.Base.Digest, doc.Base.SBOM = w.image.Base.To, ""
	if doc.System == old.System {
		doc.System = to.System
	}
	return doc.Replace(old.Packages, to.Packages)
}

// look looks into the layers of the image of a platform.
func (w *work) look(ctx context.Context, n int) (*attestation.Statement, error) {
	e, part := w.applier.Evidence, w.made.parts[n]
	ref := w.image.Repository + "@" + part.Descriptor.Digest.String()
	of, err := e.Registry.Open(ctx, ref, schema.Platform{})
	if err != nil {
		return nil, err
	}
	l, err := inventory.OfReference(ctx, of, e.Layers)
	if err != nil {
		return nil, err
	}
	return l.Statement()
}
