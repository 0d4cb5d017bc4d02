package main

import (
	"errors"

	"fnb/store"
	"fnb/store/owners"
	"fnb/store/publish"
)

// signatureHints say what a person can type now about signatures in a store.
func signatureHints(err error) []string {
	if k, ok := errors.AsType[*publish.KeylessError](err); ok {
		return []string{"give the namespace keys with: " + beginOwners(k.Store, k.Namespace), "or publish without --key"}
	}
	if is[*publish.UnsignedError](err) {
		return []string{"sign with: --key KEY", "or name the key once, as sign.records in config.yaml"}
	}
	if r, ok := errors.AsType[*store.RefusedError](err); ok {
		if r.Version == "" {
			return []string{"ask the owners of " + r.Name + " by another way than the store; if they say so, forget the old ones with: fnb trust remove " + r.Store + "/" + r.Name}
		}
		return []string{"see the other versions with: " + showCommand(r.Kind) + r.Name, "see whom this machine believes with: fnb trust list"}
	}
	if s, ok := errors.AsType[*owners.SignatureError](err); ok && (s.Reason == owners.Stranger || s.Reason == owners.Former || s.Reason == owners.Role || s.Reason == owners.Expired) {
		out := []string{"see who may with: fnb store owners " + s.Namespace + " --store NAME"}
		if s.Reason == owners.Expired {
			out = append(out, "if the clock is wrong, set it; see it with: date -u")
		}
		return out
	}
	if c, ok := errors.AsType[*owners.ChainError](err); ok && !c.Replaced {
		return []string{"if others must sign too, keep it for them with: --draft DIR"}
	}
	return nil
}
