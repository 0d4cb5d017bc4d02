package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/trust"
	"fnb/trust/evidence"
)

// verified is what an image has that was asked for.
type verified struct {
	Reference string   `json:"reference"`
	Digest    string   `json:"digest"`
	Checks    []passed `json:"checks"`

	pinned string // by digest
}

// A passed check is one statement about an image that holds.
type passed struct {
	What       string   `json:"what"` // signature, SBOM or provenance
	Predicate  string   `json:"predicate"`
	Key        string   `json:"key"`                  // fingerprint
	Principals []string `json:"principals,omitempty"` // whose key that is, where the keys' file says it
	Attachment string   `json:"attachment"`           // digest of what is attached
}

// verifySigned wants statements about the image by one of the keys.
func (g *globals) verifySigned(ctx context.Context, o *verifyOptions, ref string) (verified, error) {
	opts, err := g.keyOptions(o.password)
	if err != nil {
		return verified{}, err
	}
	var keys []trust.TrustedKey
	for _, key := range o.keys {
		more, err := trust.OpenPublic(ctx, key, opts)
		if err != nil {
			return verified{}, err
		}
		keys = append(keys, more...)
	}
	c, err := newRegistry(o.insecure)
	if err != nil {
		return verified{}, err
	}
	desc, err := c.Head(ctx, ref)
	if err != nil {
		return verified{}, fmt.Errorf("verifying %s: %w", ref, err)
	}
	out := verified{Reference: ref, Digest: desc.Digest.String()}
	if r, err := images.ParseReference(ref); err == nil {
		r.Tag, r.Digest = "", out.Digest
		out.pinned = r.String()
	}
	wants := []evidence.Want{evidence.Signature()}
	if o.sbom {
		wants = append(wants, evidence.SBOM())
	}
	if o.provenance {
		wants = append(wants, evidence.Provenance())
	}
	for _, want := range wants {
		proof, err := evidence.Verify(ctx, c, ref, out.Digest, keys, want, time.Now())
		if err != nil {
			return out, err
		}
		out.Checks = append(out.Checks, passed{proof.What, proof.Statement.PredicateType, proof.Key.Fingerprint(), proof.Key.Principals, proof.Digest})
		if whose := strings.Join(append(proof.Key.Principals, proof.Key.Comment()), " "); !g.json {
			fmt.Fprintf(g.err, "%s: %s\n", proof.What, plain.Line(strings.TrimSpace(proof.Key.Fingerprint()+" "+whose)))
		}
	}
	return out, nil
}

func (g *globals) printSigned(v verified) error {
	if g.json {
		return g.printIndented(v)
	}
	_, err := fmt.Fprintln(g.out, v.Reference, v.Digest)
	return err
}
