package rules

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"fnb/schema/document"
)

// maxSigners bounds the signers that a rule names.
const maxSigners = 100

// signedBy returns a function that reads signers for everything, or a mapping of patterns to signers.
func (r *reader) signedBy(dst *SignedBy, pattern, signer func(string) error) func(document.Value) {
	return r.rule(func(v document.Value) {
		switch v.Node.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
		default:
			*dst = append(*dst, r.signers(v, "", signer))
			return
		}
		entries, _ := r.Entries(v)
		for _, e := range entries {
			if err := pattern(e.Key); err != nil {
				r.Refuse(e.At, err)
			}
			s := r.signers(e.Value, e.Key, signer)
			s.At = document.Spot{Line: e.At.Line, Column: e.At.Column}
			*dst = append(*dst, s)
		}
		switch {
		case len(entries) == 0:
			r.Fail(v, "is empty: leave it out to want no signature", "")
		case len(entries) > maxPatterns:
			r.Fail(v, fmt.Sprintf("has more than %d patterns", maxPatterns), "")
			*dst = nil
		}
	})
}

// signers reads one signer, or a list of them.
func (r *reader) signers(v document.Value, pattern string, check func(string) error) Signers {
	s := Signers{For: pattern, At: document.Spot{Line: v.Line, Column: v.Column}}
	before := len(r.Problems)
	if _, list := v.Node.(*ast.SequenceNode); list {
		r.Strs(&s.By, check)(v)
	} else {
		s.By = []string{""}
		r.NonEmpty(&s.By[0], check)(v)
	}
	switch {
	case len(r.Problems) > before:
	case v.Node == nil || len(s.By) == 0:
		r.Fail(v, "is empty: nobody could sign it; leave it out to want no signature", "")
	case len(s.By) > maxSigners:
		r.Fail(v, fmt.Sprintf("names more than %d signers", maxSigners), "")
	}
	return s
}

// checkSigner says what is wrong with who is to have signed a template.
func checkSigner(s string) error {
	if s == Owner || IsPublicKey(s) {
		return nil
	}
	return checkKeyFile(s)
}

// checkImageSigner is [checkSigner] for images, which have no owner in a store.
func checkImageSigner(s string) error {
	if s == Owner {
		return errors.New("owner is for templates, whose store says who owns them: name the public key of an image, or a file of keys")
	}
	return checkSigner(s)
}

// checkKeyFile says what is wrong with the file of a key. It is beside the policy or below it: whoever writes a project's
// policy has no business with other files of whoever reads it.
func checkKeyFile(s string) error {
	switch {
	case strings.HasPrefix(s, "SHA256:"):
		return errors.New("is the fingerprint of a key, by which no signature can be checked: name the public key, or a file of it")
	case strings.HasPrefix(s, "exec:"), strings.HasPrefix(s, "agent:"), strings.HasPrefix(s, "env:"):
		return errors.New("is for who signs: name the public key, or a file of it")
	case path.IsAbs(s) || s == ".." || strings.HasPrefix(path.Clean(s), "../") || strings.ContainsAny(s, "\\\x00"):
		return errors.New("is a file elsewhere: keys are beside the policy, or in a folder below it")
	}
	return nil
}

// IsPublicKey reports whether a signer is a public key itself, as OpenSSH writes it, and no file.
func IsPublicKey(s string) bool {
	kind, rest, _ := strings.Cut(s, " ")
	return rest != "" && (strings.HasPrefix(kind, "ssh-") || strings.HasPrefix(kind, "ecdsa-") || strings.HasPrefix(kind, "sk-"))
}

// deniedSigners refuses rules about things that are all refused.
func (r *reader) deniedSigners(v document.Value, all SignedBy, deny []string, matches func(pattern, text string) bool) {
	for _, s := range all {
		for _, d := range deny {
			if s.For != "" && (s.For == d || r.afford(len(s.For)*len(d)) && matches(d, s.For)) {
				at := document.Value{Field: document.Below(v.Field, "signed-by"), Line: s.At.Line, Column: s.At.Column}
				r.Fail(at, fmt.Sprintf("wants a signature of %q, and deny refuses all of it with %q: take one of them out", s.For, d), "")
				break
			}
		}
	}
}
