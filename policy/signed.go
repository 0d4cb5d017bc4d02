package policy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"

	"fnb/schema/document"
	"fnb/schema/rules"
	"fnb/trust"
)

// maxKeyFile bounds a file of public keys, in bytes.
const maxKeyFile = 1 << 20

// A file is one policy, with the keys that it names.
type file struct {
	*rules.Policy
	signing map[string][]signing // by section
}

// signing is a rule about who must have signed something.
type signing struct {
	rules.Signers
	keys  []trust.TrustedKey // one of them
	owner bool               // or whoever owns the template
}

// withKeys reads the keys that a policy names. Problems are returned all at once.
func withKeys(p *rules.Policy) (*file, error) {
	f := &file{Policy: p, signing: map[string][]signing{}}
	var problems []*document.FieldError
	for section, all := range map[string]rules.SignedBy{"templates": p.Templates.SignedBy, "bases": p.Bases.SignedBy, "images": p.Images.SignedBy} {
		for _, s := range all {
			one := signing{Signers: s}
			for _, by := range s.By {
				if by == rules.Owner {
					one.owner = true
					continue
				}
				keys, err := readKeys(filepath.Dir(p.File), by)
				if err != nil {
					problems = append(problems, &document.FieldError{File: p.File, Line: s.At.Line, Column: s.At.Column, Field: section + ".signed-by", Problem: err.Error(), Err: err})
				}
				one.keys = append(one.keys, keys...)
			}
			f.signing[section] = append(f.signing[section], one)
		}
	}
	if len(problems) == 0 {
		return f, nil
	}
	slices.SortFunc(problems, func(a, b *document.FieldError) int { return a.Line - b.Line })
	return nil, document.Join(problems)
}

// A KeyError is a file of keys that a policy names and that cannot be read.
type KeyError struct {
	File string // beside the policy, as it is opened
	Name string // as the policy has it
	Err  error
}

func (e *KeyError) Error() string { return "the key " + e.Name + ": " + e.Err.Error() }

// Unwrap returns what is wrong with it.
func (e *KeyError) Unwrap() error { return e.Err }

// readKeys reads public keys: those of a file in a folder, or the text itself. A private key is none.
func readKeys(dir, by string) ([]trust.TrustedKey, error) {
	if rules.IsPublicKey(by) {
		key, err := trust.ParsePublicKey([]byte(by))
		return []trust.TrustedKey{{PublicKey: key}}, err
	}
	data, err := readFile(dir, path.Clean(by))
	var keys []trust.TrustedKey
	if err == nil {
		keys, err = trust.ParseTrustedKeys(data)
	}
	if err != nil {
		return nil, &KeyError{File: filepath.Join(dir, by), Name: by, Err: bare(err)}
	}
	return keys, nil
}

// readFile reads a plain file in a folder, which no link leads out of.
func readFile(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // it was only read from
	// Opening what is no plain file may never end.
	if info, err := root.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is not a plain file")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // the same
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		err = errors.New("it is larger than any file of keys")
	}
	return data, err
}

// A Look finds out whether one of the keys has signed an image. why says what is wrong where none has; err is that it
// cannot be found out.
type Look func(keys []trust.TrustedKey) (why string, err error)

// Signed decides about who has signed a base image, or one that is run, by its full reference. look is called for each
// rule about it. What cannot be found out breaks a rule that only warns, and is an error where it is enforced.
func (p *Policy) Signed(kind Kind, ref string, look Look) (notes []string, err error) {
	f := p.about(kind, ref)
	f.signed(kind, ref, look)
	return f.result()
}

func (f *finding) signed(kind Kind, ref string, look Look) {
	for file, s := range f.p.signing(kind, ref) {
		section, _ := images(file.Policy, kind)
		why, err := look(s.keys)
		if err != nil && file.Mode == rules.Enforce && !f.p.trial {
			f.errs = append(f.errs, fmt.Errorf("%s:%d: %s.signed-by: looking for signatures of %s: %w", file.File, s.At.Line, section, ref, err))
			continue
		}
		if err != nil {
			why = "nobody knows who has signed it: " + err.Error()
		}
		if why != "" {
			f.at = s.At
			f.breach(file, section+".signed-by", why)
		}
	}
}

// signing are the rules about who must have signed an image of a kind, each with the policy that it is of.
func (p *Policy) signing(kind Kind, ref string) iter.Seq2[*file, *signing] {
	return func(yield func(*file, *signing) bool) {
		for _, file := range p.each() {
			section, _ := images(file.Policy, kind)
			for i := range file.signing[section] {
				if s := &file.signing[section][i]; s.isFor(ref) && !yield(file, s) {
					return
				}
			}
		}
	}
}

// Signs reports whether a rule is about who has signed an image of a kind.
func (p *Policy) Signs(kind Kind, ref string) bool {
	for range p.signing(kind, ref) {
		return true
	}
	return false
}

// Signers are the keys of which, by the rules about it, an image of a kind must be signed: one of each list.
func (p *Policy) Signers(kind Kind, ref string) (all [][]trust.TrustedKey) {
	for _, s := range p.signing(kind, ref) {
		all = append(all, s.keys)
	}
	return all
}

func (s *signing) isFor(ref string) bool { return s.For == "" || rules.MatchesImage(s.For, ref) }

// unsigned says why nobody who must has signed a template; "" where somebody has.
func (s *signing) unsigned(t Template) string {
	switch {
	case !t.Recorded:
		return "no store that this machine knows has it, and so says who has signed it"
	case t.Signer == "" && !t.Vouched:
		return "nobody who owns it in its store has signed it"
	case s.owner, slices.ContainsFunc(s.keys, func(k trust.TrustedKey) bool { return k.Fingerprint() == t.Signer }):
		return ""
	case t.Vouched:
		return "its owners vouch for it, and none of the keys that the policy names has signed it"
	}
	return "it is signed by " + t.Signer + ", not by a key that the policy names"
}

// bare is an error of a file without its path, which is said.
func bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
