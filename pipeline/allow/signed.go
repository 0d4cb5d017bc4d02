package allow

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"fnb/internal/plain"
	"fnb/pipeline/history"
	"fnb/policy"
	"fnb/registry"
	"fnb/schema"
	"fnb/trust"
	"fnb/trust/evidence"
)

// Signatures find out who has signed images. The zero value asks nobody. Several may use one at a time.
type Signatures struct {
	Registry *registry.Client // nil asks none
	Known    history.Folder   // what this machine has found out before

	asked sync.Map // of this run: what was asked and the answer
}

// An answer is what came of looking for a signature.
type answer struct {
	once sync.Once
	why  string
	err  error
}

// Look looks for a signature of the image of a digest, which is in the repository that ref names. An image
// whose digest is not known has none.
func (s *Signatures) Look(ctx context.Context, ref, digest string) policy.Look {
	return func(keys []trust.TrustedKey) (string, error) {
		if digest == "" {
			return "its digest is not known, and a signature is for a digest", nil
		}
		image, err := schema.ParseImageRef(ref)
		if err != nil {
			return "", err
		}
		name := image.Name()
		var prints []string
		for _, k := range keys {
			if s.Known.Signed(name, digest, k.Fingerprint()) && k.Check(trust.NamespaceImage, time.Now()) == nil {
				return "", nil
			}
			prints = append(prints, k.Fingerprint())
		}
		v, _ := s.asked.LoadOrStore(name+"@"+digest+" "+strings.Join(prints, " "), &answer{})
		a, _ := v.(*answer) // nothing else is in there
		a.once.Do(func() { a.why, a.err = s.ask(ctx, name, digest, keys) })
		return a.why, a.err
	}
}

// ask looks in the registry.
func (s *Signatures) ask(ctx context.Context, name, digest string, keys []trust.TrustedKey) (why string, err error) {
	if s.Registry == nil {
		return "this machine has not seen a signature of it, and --offline asks no registry", nil
	}
	proof, err := evidence.Verify(ctx, s.Registry, name+"@"+digest, digest, keys, evidence.Signature(), time.Now())
	if _, missing := errors.AsType[*evidence.MissingError](err); missing {
		return strings.TrimPrefix(plain.Error(err).Error(), name+"@"+digest+": "), nil
	}
	if err != nil {
		return "", err
	}
	s.Known.Sign(name, digest, proof.Key.Fingerprint())
	return "", nil
}
