package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"fnb/schema"
	"fnb/schema/ownership"
	"fnb/store/owners"
	"fnb/store/records"
	"fnb/trust"
)

// A Signing says with which key what gets into a store is signed. The zero value has none: it does
// for namespaces without keys.
type Signing struct {
	// Open opens the key, once it is known that it is needed; nil where none is named.
	Open func(context.Context) (*trust.Signer, error)
	// Must makes it an error that the namespace has no keys, so that nothing would be signed.
	Must bool

	made map[string][]byte // the signatures that were made, by what they are of
}

// An UnsignedError says that a namespace has keys, and that there is none to sign with.
type UnsignedError struct{ Namespace string }

func (e *UnsignedError) Error() string {
	return fmt.Sprintf("the namespace %s has keys, and there is none to sign with", e.Namespace)
}

// A KeylessError says that a namespace has no keys, so that nobody could check a signature.
type KeylessError struct{ Store, Namespace string }

func (e *KeylessError) Error() string {
	return fmt.Sprintf("the namespace %s has no keys in the store %s, so nobody could check the signature", e.Namespace, e.Store)
}

// add adds to files the signature of one of them, whose name or content is not known before;
// roles are those of which the key needs one. Where the namespace has no keys nothing is added.
func (s *Signing) add(ctx context.Context, tree records.Tree, store string, f ownership.File, files map[string][]byte, roles ...string) error {
	ns := strings.Split(f.Name, "/")[1]
	c, err := chainOf(tree, ns)
	switch {
	case err != nil:
		return err
	case c == nil && s.Must:
		return &KeylessError{Store: store, Namespace: ns}
	case c == nil:
		return nil
	case s.Open == nil:
		return &UnsignedError{Namespace: ns}
	}
	key, err := s.Open(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	if err := c.May(f.Name, key.Key(), now, roles...); err != nil {
		return errors.Join(fmt.Errorf("nobody would take it: %w", err), key.Close())
	}
	files[records.SignatureOf(f.Name)], err = s.sign(ctx, []*trust.Signer{key}, f, c.Origin, now)
	return errors.Join(err, key.Close())
}

// sign makes the file with the signatures of a file by keys, each of which signs once however often it is
// asked: a person may have to touch it.
func (s *Signing) sign(ctx context.Context, keys []*trust.Signer, f ownership.File, origin string, at time.Time) ([]byte, error) {
	id := f.Name + " " + ownership.Sum(f.Data) + " " + origin
	if made, ok := s.made[id]; ok {
		return made, nil
	}
	payload, err := ownership.NewStatement(f, origin, at).Marshal()
	if err != nil {
		return nil, err
	}
	e := ownership.Envelope{PayloadType: ownership.PayloadType, Payload: payload}
	if err := countersign(ctx, &e, keys); err != nil {
		return nil, fmt.Errorf("signing %s: %w", f.Name, err)
	}
	made, err := e.Marshal()
	if err != nil {
		return nil, err
	}
	if s.made == nil {
		s.made = map[string][]byte{}
	}
	s.made[id] = made
	return made, nil
}

// countersign adds the signatures of keys to an envelope, in the place of those that the same keys made.
func countersign(ctx context.Context, e *ownership.Envelope, keys []*trust.Signer) error {
	for _, key := range keys {
		sig, err := key.SignSSH(ctx, trust.NamespaceRecord, e.Payload)
		if err != nil {
			return err
		}
		e.Signatures = slices.DeleteFunc(e.Signatures, func(o ownership.Signature) bool { return o.KeyID == key.KeyID() })
		e.Signatures = append(e.Signatures, ownership.Signature{KeyID: key.KeyID(), Sig: string(sig)})
	}
	return nil
}

// chainOf is the owners of a namespace as a store has them; nil where it has no keys.
func chainOf(tree records.Tree, ns string) (*owners.Chain, error) {
	files, err := (&records.Scanner{Tree: tree}).Owners(ns)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	origin, err := originOf(tree)
	if err != nil {
		return nil, err
	}
	return owners.Follow(origin, ns, files, owners.Known{})
}

// originOf is what a store calls itself.
func originOf(tree records.Tree) (string, error) {
	data, err := tree.Read(records.StoreFileName)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	about, err := schema.ParseStoreFile(records.StoreFileName, data)
	return about.Origin, err
}

// baseKnown is what a check knows of the owners of namespaces: what the base has.
func baseKnown(base records.Tree, now time.Time) owners.Remembered {
	known := owners.Remembered{Namespaces: map[string]owners.Known{}}
	if base == nil {
		return known
	}
	spaces, err := (&records.Scanner{Tree: base}).Spaces()
	if err != nil {
		return known // what was wrong with it was so before
	}
	known.Origin = spaces.Origin
	for _, ns := range slices.Sorted(maps.Keys(spaces.Owners)) {
		if c, err := owners.Follow(spaces.Origin, ns, spaces.Owners[ns], owners.Known{}); err == nil {
			known.Namespaces[ns] = c.Known(owners.Known{}, now)
		}
	}
	return known
}
