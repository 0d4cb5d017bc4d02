package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/policy"
	"fnb/registry"
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

// A verifying is what an image is asked for.
type verifying struct {
	g        *globals
	registry *registry.Client
	image    v1.Descriptor
	wants    []evidence.Want // beside a signature
	now      time.Time
	out      verified
}

// verifySigned wants statements about the image by one of the keys, or as a policy wants them.
func (g *globals) verifySigned(ctx context.Context, o *verifyOptions, ref string) (verified, error) {
	keys, err := g.publicKeys(ctx, o)
	if err != nil {
		return verified{}, err
	}
	var p *policy.Policy
	if o.policy != "" {
		if p, err = policy.ReadFile(policy.Options{Version: fnbVersion()}, o.policy); err != nil {
			return verified{}, err
		}
	}
	v := verifying{g: g, now: time.Now(), out: verified{Reference: ref}}
	if o.sbom {
		v.wants = append(v.wants, evidence.SBOM())
	}
	if o.provenance {
		v.wants = append(v.wants, evidence.Provenance())
	}
	if v.registry, err = newRegistry(o.insecure); err != nil {
		return v.out, err
	}
	if v.image, err = v.registry.Head(ctx, ref); err != nil {
		return v.out, fmt.Errorf("verifying %s: %w", ref, err)
	}
	v.out.Digest = v.image.Digest.String()
	r, err := images.ParseReference(ref)
	if err != nil {
		return v.out, err
	}
	named := r.Exact()
	v.out.pinned = r.Pinned(v.out.Digest).String()
	if len(keys) > 0 {
		if err := v.want(ctx, keys, append([]evidence.Want{evidence.Signature()}, v.wants...)...); err != nil {
			return v.out, err
		}
	}
	if p == nil {
		return v.out, nil
	}
	named.Digest = v.out.Digest
	return v.out, v.hold(ctx, p, o.policy, named.String())
}

// publicKeys are the keys that were named.
func (g *globals) publicKeys(ctx context.Context, o *verifyOptions) ([]trust.TrustedKey, error) {
	opts, err := g.keyOptions(o.password)
	if err != nil {
		return nil, err
	}
	var keys []trust.TrustedKey
	for _, key := range o.keys {
		more, err := trust.OpenPublic(ctx, key, opts)
		if err != nil {
			return nil, err
		}
		keys = append(keys, more...)
	}
	return keys, nil
}

// A demand is a statement that the image of a digest must have.
type demand struct {
	want   evidence.Want
	digest string
}

// want wants statements by one of the keys.
func (v *verifying) want(ctx context.Context, keys []trust.TrustedKey, wants ...evidence.Want) error {
	var demands []demand
	for _, w := range wants {
		of := []v1.Descriptor{v.image}
		if w.What == evidence.SBOM().What { // of an image for several platforms each has one
			var err error
			if of, err = v.registry.Images(ctx, v.out.Reference, v.image); err != nil {
				return fmt.Errorf("verifying %s: %w", v.out.Reference, err)
			}
		}
		for _, d := range of {
			demands = append(demands, demand{w, d.Digest.String()})
		}
	}
	for _, d := range demands {
		proof, err := evidence.Verify(ctx, v.registry, v.out.Reference, d.digest, keys, d.want, v.now)
		if err != nil {
			return err
		}
		v.out.Checks = append(v.out.Checks, passed{proof.What, proof.Statement.PredicateType, proof.Key.Fingerprint(), proof.Key.Principals, proof.Digest})
		if whose := strings.Join(append(proof.Key.Principals, proof.Key.Comment()), " "); !v.g.json {
			fmt.Fprintf(v.g.err, "%s: %s\n", proof.What, plain.Line(strings.TrimSpace(proof.Key.Fingerprint()+" "+whose)))
		}
	}
	return nil
}

// hold holds an image, with its digest, against the policy of a file.
func (v *verifying) hold(ctx context.Context, p *policy.Policy, file, ref string) error {
	name, _, _ := strings.Cut(ref, "@")
	all := p.Signers(policy.KindImage, name)
	if len(all) == 0 {
		return hint(fmt.Errorf("%s wants no signature of %s: nothing was verified", file, v.out.Reference),
			"say who must have signed it, in "+file+": images: {signed-by: KEY.pub}")
	}
	err := p.Source(policy.KindImage, "docker-image://"+ref, func(keys []trust.TrustedKey) (string, error) {
		err := v.want(ctx, keys, evidence.Signature())
		if _, missing := errors.AsType[*evidence.MissingError](err); missing {
			return strings.TrimPrefix(err.Error(), v.out.Reference+": "), nil
		}
		return "", err
	})
	v.g.tell(p.Untold())
	for _, keys := range all {
		if err == nil && len(v.wants) > 0 {
			err = v.want(ctx, keys, v.wants...)
		}
	}
	return err
}

func (g *globals) printSigned(v verified) error {
	if g.json {
		return g.printIndented(v)
	}
	_, err := fmt.Fprintln(g.out, v.Reference, v.Digest)
	return err
}
