package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"fnb/internal/disk"
	"fnb/schema"
	"fnb/schema/ownership"
	"fnb/store"
	"fnb/store/owners"
	"fnb/store/records"
	"fnb/trust"
)

// An OwnersChange says who is to own a namespace from now on.
type OwnersChange struct {
	Store, Namespace string
	Add              []ownership.Key // a key that is there gets the new roles and end
	Remove           []string        // names or fingerprints
	// Distrust lets the records count no more that only a removed key has signed.
	Distrust  bool
	Threshold int             // 0 leaves it, or means 1
	Keys      []*trust.Signer // that sign
	// Draft is a folder for what still lacks signatures: it is written there, or read from there if
	// nothing is to change. "" means that it must have all.
	Draft   string
	Propose bool // push a branch of its own
}

// A ChangedOwners is what came of an [OwnersChange].
type ChangedOwners struct {
	Published
	Owners  ownership.Owners `json:"owners"`
	Signers []string         `json:"signers"`           // fingerprints of the keys that have signed
	Vouched int              `json:"vouched"`           // records that count without a signature
	Draft   string           `json:"draft,omitempty"`   // the file that lacks signatures; nothing was published
	Missing string           `json:"missing,omitempty"` // what it lacks
}

// OwnersOf are the owners of a namespace as a store has them now, each with those before; nil
// where it has no keys.
func OwnersOf(ctx context.Context, s *store.Finder, in, ns string) (*owners.Chain, error) {
	c, err := s.Store(in)
	if err != nil {
		return nil, err
	}
	var chain *owners.Chain
	_, err = s.Add(ctx, c, store.Addition{Dry: true, Files: func(tree records.Tree) (_ map[string][]byte, err error) {
		chain, err = chainOf(tree, ns)
		return nil, err
	}})
	return chain, err
}

// ChangeOwners makes the next owners of a namespace, signs them and puts them into the store, if those
// before them and they themselves have signed often enough.
//
// The first owners vouch for the records that are there already, which nobody has signed. Those that
// take a key away vouch for what it has signed, unless Distrust says otherwise.
func ChangeOwners(ctx context.Context, s *store.Finder, o OwnersChange) (ChangedOwners, error) {
	out := ChangedOwners{}
	if err := schema.ValidateName(o.Namespace); err != nil {
		return out, err
	}
	c, err := s.Store(o.Store)
	if err != nil {
		return out, err
	}
	a := store.Addition{Message: "owners of " + o.Namespace}
	signing := &Signing{}
	a.Files = func(tree records.Tree) (map[string][]byte, error) {
		m := &ownersMaker{OwnersChange: o, tree: tree, signing: signing, out: &out}
		return m.files(ctx)
	}
	if o.Propose {
		a.Branch = publishBranch + "owners/" + o.Namespace + "/" + strconv.FormatInt(time.Now().Unix(), 36)
		out.Branch = strings.TrimPrefix(a.Branch, "refs/heads/")
	}
	done, err := s.Add(ctx, c, a)
	if err != nil {
		return out, err
	}
	out.Store, out.Name, out.Version = c.Name, o.Namespace, strconv.Itoa(out.Owners.Number)
	out.Commit, out.Tries = done.Commit, done.Tries
	if o.Propose && done.Wrote {
		out.Compare = compareURL(c.URL, strings.TrimPrefix(done.Base, "refs/heads/"), out.Branch)
	}
	return out, nil
}

// An ownersMaker makes the next owners of a namespace on top of what a store has.
type ownersMaker struct {
	OwnersChange

	tree    records.Tree
	signing *Signing
	out     *ChangedOwners
}

// files returns the file of the next owners and that of their signatures; none where these are not enough
// yet, and kept as a draft.
func (m *ownersMaker) files(ctx context.Context) (map[string][]byte, error) {
	has, err := (&records.Scanner{Tree: m.tree}).Owners(m.Namespace)
	if err != nil {
		return nil, err
	}
	origin, err := originOf(m.tree)
	if err != nil {
		return nil, err
	}
	if origin == "" {
		return nil, errors.New("the store has no origin, and a signature is for one store: write what it calls itself into " + records.StoreFileName + ", such as {\"v\": 1, \"origin\": \"github.com/acme/store\"}")
	}
	now, err := owners.Follow(origin, m.Namespace, has, owners.Known{})
	if err != nil {
		return nil, err
	}
	file := records.OwnersFile(m.Namespace, len(has)+1)
	var next records.Evidence
	if len(m.Add) == 0 && len(m.Remove) == 0 && m.Threshold == 0 && m.Draft != "" {
		next, err = m.fromDraft(ctx, file)
	} else {
		next, err = m.make(ctx, now, file, origin)
	}
	if err != nil {
		return nil, err
	}
	if m.out.Owners, err = ownership.ParseOwners(file, next.Data); err != nil {
		return nil, err
	}
	m.out.Vouched = len(m.out.Owners.Records)
	env, _, err := ownership.ParseEnvelope(records.SignatureOf(file), next.Signature)
	if err != nil {
		return nil, err
	}
	m.out.Signers = nil
	for _, s := range env.Signatures {
		m.out.Signers = append(m.out.Signers, s.KeyID)
	}
	if _, err := owners.Follow(origin, m.Namespace, append(has, next), owners.Known{}); err != nil {
		if m.Draft == "" || m.out.Owners.Number != len(has)+1 {
			return nil, err
		}
		m.out.Draft, m.out.Missing = filepath.Join(m.Draft, path.Base(file)), err.Error()
		return nil, m.keep(file, next)
	}
	return map[string][]byte{file: next.Data, records.SignatureOf(file): next.Signature}, nil
}

// keep writes a draft.
func (m *ownersMaker) keep(file string, e records.Evidence) error {
	if err := os.MkdirAll(m.Draft, 0o755); err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(m.Draft, path.Base(name)) }
	return errors.Join(disk.ReplaceFile(at(file), e.Data, 0o644), disk.ReplaceFile(at(records.SignatureOf(file)), e.Signature, 0o644))
}

// fromDraft reads a draft of a file, and adds the signatures of the keys.
func (m *ownersMaker) fromDraft(ctx context.Context, file string) (e records.Evidence, err error) {
	if e.Data, err = os.ReadFile(filepath.Join(m.Draft, path.Base(file))); err != nil {
		return e, fmt.Errorf("reading the draft of %s: %w", file, err)
	}
	sig := records.SignatureOf(file)
	if e.Signature, err = os.ReadFile(filepath.Join(m.Draft, path.Base(sig))); err != nil {
		return e, fmt.Errorf("reading the draft of %s: %w", sig, err)
	}
	env, s, err := ownership.ParseEnvelope(sig, e.Signature)
	if err != nil {
		return e, err
	}
	if !s.Is(ownership.File{Name: file, Data: e.Data}) {
		return e, fmt.Errorf("the draft in %s has signatures of something else than its %s", m.Draft, path.Base(file))
	}
	if err := countersign(ctx, &env, m.Keys); err != nil {
		return e, fmt.Errorf("signing %s: %w", file, err)
	}
	e.Signature, err = env.Marshal()
	return e, err
}

// make makes the next owners, and signs them.
func (m *ownersMaker) make(ctx context.Context, now *owners.Chain, file, origin string) (e records.Evidence, err error) {
	next := ownership.Owners{V: schema.RecordVersion, Namespace: m.Namespace, Number: 1, Threshold: max(m.Threshold, 1)}
	if now != nil {
		next.Number, next.Previous, next.Records = now.Owners.Number+1, now.Sum, slices.Clone(now.Owners.Records)
		next.Keys = slices.Clone(now.Owners.Keys)
		if m.Threshold == 0 {
			next.Threshold = now.Owners.Threshold
		}
	}
	gone, err := m.change(&next)
	if err != nil {
		return e, err
	}
	if now == nil || len(gone) > 0 && !m.Distrust {
		if err := m.vouch(ctx, &next, now, gone); err != nil {
			return e, err
		}
	}
	if e.Data, err = next.Marshal(); err != nil {
		return e, err
	}
	if _, err := ownership.ParseOwners(file, e.Data); err != nil {
		return e, err
	}
	e.Signature, err = m.signing.sign(ctx, m.Keys, ownership.File{Name: file, Data: e.Data}, origin, time.Now())
	return e, err
}

// change adds and removes keys, and returns the fingerprints of those that are gone.
func (m *ownersMaker) change(next *ownership.Owners) (map[string]bool, error) {
	fingerprint := func(k ownership.Key) string {
		pub, err := trust.ParsePublicKey([]byte(k.Key))
		if err != nil {
			return ""
		}
		return pub.Fingerprint()
	}
	gone := map[string]bool{}
	for _, who := range m.Remove {
		found := false
		next.Keys = slices.DeleteFunc(next.Keys, func(k ownership.Key) bool {
			is := k.Name == who || fingerprint(k) == who
			if is {
				found, gone[fingerprint(k)] = true, true
			}
			return is
		})
		if !found {
			return nil, fmt.Errorf("the namespace %s has no key %s", m.Namespace, who)
		}
	}
	for _, k := range m.Add {
		is := func(o ownership.Key) bool { return fingerprint(o) == fingerprint(k) }
		delete(gone, fingerprint(k))
		if i := slices.IndexFunc(next.Keys, is); i >= 0 {
			next.Keys[i] = k
		} else {
			next.Keys = append(next.Keys, k)
		}
	}
	return gone, nil
}

// vouch has owners vouch for the records of their namespace that count now and would not any more.
func (m *ownersMaker) vouch(ctx context.Context, next *ownership.Owners, now *owners.Chain, gone map[string]bool) error {
	sums := map[string]bool{}
	for _, sum := range next.Records {
		sums[sum] = true
	}
	err := (&records.Scanner{Tree: m.tree}).Packages(ctx, func(p records.StoredPackage) error {
		if !strings.HasPrefix(p.Name, m.Namespace+"/") {
			return nil
		}
		for _, v := range p.Versions {
			counts := now == nil
			if now != nil {
				file := path.Join(records.KindDir(p.Kind()), p.Name, records.VersionsDir, v.Version+records.RecordSuffix)
				by, err := now.SignerOf(file, v)
				counts = err == nil && gone[by.Key]
			}
			if counts {
				sums[ownership.Sum(v.Evidence.Data)] = true
			}
		}
		return nil
	}, func(string, error) {}) // what cannot be read nobody vouches for
	next.Records = slices.Sorted(maps.Keys(sums))
	return err
}
