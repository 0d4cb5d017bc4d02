package owners

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"fnb/internal/plain"
	"fnb/schema/ownership"
	"fnb/store/records"
	"fnb/trust"
)

// A Chain is the owners of a namespace, found to be those that the ones before wanted.
type Chain struct {
	Origin string           // of the store
	Owners ownership.Owners // the newest
	Sum    string           // SHA-256 of their file

	keys    map[string]ownership.Key // by fingerprint
	former  map[string]former        // keys that were taken away
	vouched map[string]bool          // records that count without a signature, by their SHA-256
	signers map[string]bool          // whose signature as an owner one of the files has
}

// A former is a key that a namespace had.
type former struct {
	name string
	gone int // number of the owners that do not have it any more
}

// Known is what a machine knows of the owners of a namespace.
type Known struct {
	Number int             `json:"number,omitempty"` // of the newest that were seen; 0 for none
	Sum    string          `json:"sum,omitempty"`    // SHA-256 of their file
	Keys   []ownership.Key `json:"keys,omitempty"`   // theirs
	Since  time.Time       `json:"since,omitzero"`   // when the namespace was first seen with keys
	// Pinned are fingerprints of which one must have signed the owners, where the user knows better than the store.
	Pinned []string `json:"pinned,omitempty"`
}

// Follow reads the owners of a namespace in the store with the origin, from the first on: each
// must be signed by enough of the ones before, and of its own. They must go on from the known
// ones. The error is a [*ChainError]. Without owners, known ones too, there is no chain.
func Follow(origin, ns string, files []records.Evidence, known Known) (*Chain, error) {
	fail := func(n int, format string, args ...any) error {
		e := &ChainError{Namespace: ns, Why: fmt.Sprintf(format, args...)}
		if n > 0 {
			e.File = records.OwnersFile(ns, n)
			e.Why = e.File + " " + e.Why
		}
		return e
	}
	replaced := func(format string, args ...any) error {
		return &ChainError{Namespace: ns, Replaced: true, Why: fmt.Sprintf(format, args...)}
	}
	switch {
	case len(files) == 0 && known.Number == 0 && len(known.Pinned) == 0:
		return nil, nil //nolint:nilnil // as documented
	case len(files) == 0 && known.Number == 0:
		return nil, replaced("the store has none, and this machine wants the key %s", known.Pinned[0])
	case len(files) == 0:
		return nil, replaced("the store has none any more, and had some since %s", known.Since.Format(time.DateOnly))
	case len(files) < known.Number:
		return nil, replaced("the store has them up to number %d, and this machine has seen number %d", len(files), known.Number)
	case known.Number > 0 && ownership.Sum(files[known.Number-1].Data) != known.Sum:
		return nil, replaced("number %d is another one than this machine has seen, and the keys that it has seen did not say so", known.Number)
	case origin == "":
		return nil, fail(0, "the store has no origin in store.json, and signatures are for one store")
	}
	c := &Chain{Origin: origin, former: map[string]former{}, signers: map[string]bool{}}
	for i, f := range files {
		n := i + 1
		o, err := ownership.ParseOwners(records.OwnersFile(ns, n), f.Data)
		switch {
		case err != nil:
			return nil, &ChainError{Namespace: ns, File: records.OwnersFile(ns, n), Why: strings.ReplaceAll(plain.Error(err).Error(), "\n", "; ")}
		case o.Number != n || o.Namespace != ns:
			return nil, fail(n, "is number %d of the namespace %s", o.Number, plain.Short(o.Namespace))
		case o.Previous != c.Sum:
			return nil, fail(n, "does not follow the ones before it")
		}
		last := *c
		if err := c.take(o, f.Data); err != nil {
			return nil, fail(n, "%s", err)
		}
		if n <= known.Number && len(known.Pinned) == 0 {
			continue // their signatures were checked when they were seen first
		}
		if err := c.signedBy(last, f); err != nil {
			return nil, fail(n, "%s", err)
		}
	}
	if len(known.Pinned) == 0 {
		return c, nil
	}
	for _, key := range known.Pinned {
		if c.signers[key] {
			return c, nil
		}
	}
	return nil, replaced("none of them is signed by the key %s, which this machine wants", strings.Join(known.Pinned, " or "))
}

// take makes owners the newest.
func (c *Chain) take(o ownership.Owners, data []byte) error {
	keys := map[string]ownership.Key{}
	for _, k := range o.Keys {
		if k.OIDC != nil {
			continue // a later fnb checks their signatures
		}
		key, err := trust.ParsePublicKey([]byte(k.Key))
		if err != nil {
			return fmt.Errorf("has a key of %s that cannot be used: %w", plain.Short(k.Name), plain.Error(err))
		}
		if _, twice := keys[key.Fingerprint()]; twice {
			return fmt.Errorf("has the key %s twice", key.Fingerprint())
		}
		keys[key.Fingerprint()] = k
	}
	for fp, k := range c.keys {
		if _, has := keys[fp]; !has {
			c.former[fp] = former{k.Name, o.Number}
		}
	}
	for fp := range keys {
		delete(c.former, fp)
	}
	c.Owners, c.Sum, c.keys = o, ownership.Sum(data), keys
	c.vouched = make(map[string]bool, len(o.Records))
	for _, sum := range o.Records {
		c.vouched[sum] = true
	}
	return nil
}

// signedBy returns an error unless enough of the newest owners, and of the last before them, have
// signed them.
func (c *Chain) signedBy(last Chain, f records.Evidence) error {
	file := ownership.File{Name: records.OwnersFile(c.Owners.Namespace, c.Owners.Number), Data: f.Data}
	if f.Signature == nil {
		return errors.New("is not signed")
	}
	made, s, err := c.read(file, f.Signature)
	if err != nil {
		return err
	}
	own, old := 0, 0
	for _, m := range made {
		if m.err != nil {
			continue
		}
		if k, ok := c.keys[m.key]; ok && k.Has(ownership.RoleOwner) && inTime(k, s.Predicate.Signed) {
			own++
			c.signers[m.key] = true
		}
		if k, ok := last.keys[m.key]; ok && k.Has(ownership.RoleOwner) && inTime(k, s.Predicate.Signed) {
			old++
		}
	}
	if c.Owners.Number > 1 && old < last.Owners.Threshold {
		return fmt.Errorf("has %s of the owners before it, and needs %d", plain.Count(old, "signature", "signatures"), last.Owners.Threshold)
	}
	if own < c.Owners.Threshold {
		return fmt.Errorf("has %s of its own owners, and needs %d", plain.Count(own, "signature", "signatures"), c.Owners.Threshold)
	}
	return nil
}

// inTime reports whether a key may sign at a time.
func inTime(k ownership.Key, at time.Time) bool { return k.Until == nil || !at.After(*k.Until) }

// A mark is one signature of an envelope.
type mark struct {
	key string // fingerprint; as it is named where err is set
	err error
}

// read reads the signatures of a file, which have to be for it and for this store. Each key is
// there once.
func (c *Chain) read(f ownership.File, signature []byte) ([]mark, ownership.Statement, error) {
	fail := func(reason Reason, format string, args ...any) error {
		return &SignatureError{File: f.Name, Namespace: c.Owners.Namespace, Reason: reason, Why: fmt.Sprintf(format, args...)}
	}
	env, s, err := ownership.ParseEnvelope(records.SignatureOf(f.Name), signature)
	switch {
	case err != nil:
		return nil, s, fail(Damaged, "its signature cannot be read: %s", strings.ReplaceAll(plain.Error(err).Error(), "\n", "; "))
	case s.Predicate.Origin != c.Origin:
		return nil, s, fail(Elsewhere, "its signature is for the store %q, and this is %q", plain.Short(s.Predicate.Origin), plain.Short(c.Origin))
	case !s.Is(f):
		of := "nothing"
		if len(s.Subject) > 0 {
			of = plain.Short(s.Subject[0].Name)
		}
		if of == f.Name {
			of = "another content of " + of
		}
		return nil, s, fail(Different, "its signature is for %s", of)
	}
	var all []mark
	has := map[string]bool{}
	for _, sig := range env.Signatures {
		if strings.HasPrefix(sig.KeyID, "oidc:") {
			all = append(all, mark{plain.Short(sig.KeyID), fail(Keyless, "it is signed by %s, and this fnb cannot check signatures of OIDC subjects yet", plain.Short(sig.KeyID))})
			continue
		}
		key, err := trust.VerifySSH(trust.NamespaceRecord, env.Payload, []byte(sig.Sig))
		if err != nil {
			all = append(all, mark{plain.Short(sig.KeyID), fail(Damaged, "its signature does not count: %s", plain.Error(err))})
			continue
		}
		if fp := key.Fingerprint(); !has[fp] {
			has[fp] = true
			all = append(all, mark{key: fp})
		}
	}
	return all, s, nil
}

// Check returns who signed a file, of those who have one of the roles. The error is a
// [*SignatureError] for the first signature. Of a record that the owners vouch for no signature
// is needed.
func (c *Chain) Check(f ownership.File, signature []byte, roles ...string) (records.Signer, time.Time, error) {
	vouched := c.vouched[ownership.Sum(f.Data)]
	if signature == nil {
		if vouched {
			return records.Signer{Vouched: true}, time.Time{}, nil
		}
		return records.Signer{}, time.Time{}, &SignatureError{
			File: f.Name, Namespace: c.Owners.Namespace, Reason: Unsigned,
			Why: fmt.Sprintf("it is not signed, and the namespace %s has keys", c.Owners.Namespace),
		}
	}
	all, s, err := c.read(f, signature)
	for _, m := range all {
		problem := m.err
		if problem == nil {
			problem = c.may(f.Name, m.key, s.Predicate.Signed, roles)
		}
		if problem == nil {
			return records.Signer{Name: plain.Short(c.keys[m.key].Name), Key: m.key}, s.Predicate.Signed, nil
		}
		if err == nil {
			err = problem
		}
	}
	if vouched {
		return records.Signer{Vouched: true}, time.Time{}, nil
	}
	return records.Signer{}, time.Time{}, err
}

// May returns why a key may not sign a file at a time, in one of the roles.
func (c *Chain) May(file string, key trust.PublicKey, at time.Time, roles ...string) error {
	return c.may(file, key.Fingerprint(), at, roles)
}

func (c *Chain) may(file, key string, at time.Time, roles []string) error {
	fail := func(reason Reason, format string, args ...any) error {
		return &SignatureError{File: file, Namespace: c.Owners.Namespace, Reason: reason, Why: fmt.Sprintf(format, args...)}
	}
	k, ok := c.keys[key]
	name := plain.Short(k.Name)
	if !ok {
		if was, had := c.former[key]; had {
			return fail(Former, "it is signed by %s %s, whose key was taken from the namespace %s by %s", plain.Short(was.name), key, c.Owners.Namespace, records.OwnersFile(c.Owners.Namespace, was.gone))
		}
		return fail(Stranger, "it is signed by %s, which is not a key of the namespace %s", key, c.Owners.Namespace)
	}
	may := false
	for _, role := range roles {
		may = may || k.Has(role)
	}
	switch {
	case !may:
		return fail(Role, "it is signed by %s %s, who has not the role %s in the namespace %s", name, key, strings.Join(roles, " or "), c.Owners.Namespace)
	case !inTime(k, at):
		return fail(Expired, "it is signed by %s %s at %s, and this key was valid until %s", name, key, at.UTC().Format(time.RFC3339), k.Until.UTC().Format(time.RFC3339))
	}
	return nil
}

// Until is the last moment at which a key may sign; nil for ever.
func (c *Chain) Until(fingerprint string) *time.Time { return c.keys[fingerprint].Until }

// Known is what is to be kept of the chain, by which it is known again.
func (c *Chain) Known(before Known, now time.Time) Known {
	if before.Since.IsZero() {
		before.Since = now.UTC().Truncate(time.Second)
	}
	before.Number, before.Sum, before.Keys = c.Owners.Number, c.Sum, c.Owners.Keys
	return before
}
