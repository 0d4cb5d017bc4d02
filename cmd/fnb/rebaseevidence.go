package main

import (
	"context"

	"fnb/images"
	"fnb/pipeline"
	"fnb/pipeline/attest"
	"fnb/policy"
	"fnb/rebase"
	"fnb/sbom/scan"
	"fnb/trust"
)

// knownLayers are what fnb has found in layers of images on this machine.
func (g *globals) knownLayers() *scan.Cache {
	dir, err := cacheDir()
	if err != nil {
		dir = "" // without one nothing is remembered
	}
	return scan.Below(dir)
}

// rebaseEvidence has an applier say of what it writes what is wanted. done closes the key.
func (g *globals) rebaseEvidence(ctx context.Context, a *rebase.Applier, o *carryFlags) (done func(), err error) {
	wants, err := o.attest.wants(pipeline.ToRegistry)
	if err != nil {
		return nil, usagef("fnb rebase", "%w", err)
	}
	at := &attest.Attester{Wants: wants, Registry: a.Registry, Layers: g.knownLayers()}
	done = func() {}
	if o.sign != "" {
		if at.Signer, err = g.openKey(ctx, o.sign, o.password); err != nil {
			return nil, err
		}
		done = func() { _ = at.Signer.Close() } // it has signed
	}
	rules, err := g.rules.read()
	if err != nil {
		done()
		return nil, err
	}
	if at.Any() {
		a.Evidence = rebase.Evidence{Attester: at, Version: fnbVersion(), Keys: signersOf(rules)}
	}
	return done, nil
}

// signersOf are the keys that a policy names for an image.
func signersOf(rules *policy.Policy) func(ref string) []trust.TrustedKey {
	return func(ref string) (keys []trust.TrustedKey) {
		r, err := images.ParseReference(ref)
		if err != nil {
			return nil
		}
		named := r.Exact()
		named.Digest = ""
		for _, all := range rules.Signers(policy.KindImage, named.String()) {
			keys = append(keys, all...)
		}
		return keys
	}
}
