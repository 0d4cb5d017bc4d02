package main

import (
	"errors"
	"strings"

	"fnb/internal/plain"
	"fnb/pipeline/attest"
	"fnb/registry"
	"fnb/trust"
	"fnb/trust/evidence"
)

// keyHints say what to do about a key, or about what an image is not signed with.
func keyHints(err error) []string {
	if e, ok := errors.AsType[*trust.PasswordError](err); ok {
		if e.Wrong {
			return []string{"give the right one: --key-password-stdin, or in the variable " + passwordVariable}
		}
		return []string{"give it by standard input with --key-password-stdin, or in the variable " + passwordVariable}
	}
	if e, ok := errors.AsType[*trust.AgentError](err); ok {
		switch {
		case e.Socket == "":
			return []string{"start an agent, and give it the key: eval \"$(ssh-agent)\" && ssh-add", "or name the key's file: --key ~/.ssh/id_ed25519"}
		case e.Refused:
			return []string{"unlock the agent, or confirm when it asks; see its keys with: ssh-add -l"}
		}
		return []string{"see its keys with: ssh-add -l", "or give it the key: ssh-add FILE"}
	}
	if e, ok := errors.AsType[*trust.KeyError](err); ok {
		switch {
		case e.Missing && strings.HasPrefix(e.Key, "env:"):
			return nil
		case e.Missing && trust.ValidName(e.Key):
			return []string{"make it: fnb key new " + e.Key, "see which there are: fnb key list"}
		case e.Missing:
			return []string{"see which there are: fnb key list, ls ~/.ssh"}
		case strings.Contains(e.Why, "openssl's way") || strings.Contains(e.Why, "PEM's old way"):
			return []string{"write it as cosign does: cosign import-key-pair --key " + plain.ShellWord(e.Key), "or without a password, into a file for you alone: (umask 077; openssl pkey -in " + plain.ShellWord(e.Key) + " -out plain.pem)"}
		}
		return nil
	}
	if is[*trust.TimeError](err) {
		return []string{"if the clock is wrong, set it; see it with: date -u", "or have the key's owner prolong it, or sign with another"}
	}
	if e, ok := errors.AsType[*attest.RefusedError](err); ok && e.What != "signature" && !is[*registry.UnavailableError](err) {
		return []string{"push it without: fnb build --push --attest none"}
	}
	if e, ok := errors.AsType[*registry.ReferrersError](err); ok && e.Lost != "" {
		return []string{"attach it again: fnb sign " + e.Reference + " --key KEY", "and see what the registry lists: oras discover " + e.Reference}
	} else if ok {
		return []string{"see what they are: oras discover " + e.Reference + "; the registry must delete what nobody needs"}
	}
	if e, ok := errors.AsType[*evidence.MissingError](err); ok {
		switch {
		case e.Old:
			return []string{"sign it in the new form: fnb sign " + e.Reference + " --key KEY"}
		case e.Want.What == evidence.Signature().What:
			return []string{"if it is yours, sign it: fnb sign " + e.Reference + " --key KEY"}
		}
		return []string{"if it is yours, build it with: fnb build --push --no-cache --sign KEY"}
	}
	if e, ok := errors.AsType[*registry.AttachedError](err); ok {
		return []string{"see what is attached: oras discover " + e.Reference}
	}
	return nil
}
