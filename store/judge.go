package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"fnb/internal/plain"
	"fnb/store/cache"
	"fnb/store/owners"
	"fnb/store/records"
)

// Memory is where the finder keeps whom it has seen as the owners of namespaces.
func (s *Finder) Memory() owners.Memory { return owners.Memory{File: s.opts.TrustFile} }

// trusted tells what is known of the owners of a store's namespaces from anything else.
func (s *Finder) trusted(c Store) (string, error) {
	known, err := s.Memory().Of(c.URL)
	return known.Digest(), err
}

// isCurrent reports whether an index that the cache has was read with what is known now.
func (s *Finder) isCurrent(c Store, x *cache.Index) (bool, error) {
	trusted, err := s.trusted(c)
	return x != nil && x.State.Trust == trusted, err
}

// build reads what a store has into the cache, and says of each version who signed it. Whom it
// sees first it remembers.
func (s *Finder) build(ctx context.Context, c Store, st cache.IndexState, old *cache.Index, feed records.Feed) (*cache.Index, error) {
	memory := s.Memory()
	known, err := memory.Of(c.URL)
	if err != nil {
		return nil, err
	}
	j := &owners.Judge{Known: known, Now: time.Now()}
	if old != nil {
		j.Read = old.State.Checked
		j.Before = func(kind, name string) []records.StoredVersion { return versionsOf(old, kind, name) }
	}
	x, err := s.cache.BuildIndex(st, old, j.Feed(feed))
	if err != nil {
		return nil, err
	}
	if err := memory.Learn(ctx, c.URL, j); err != nil {
		return nil, err
	}
	trusted, err := s.trusted(c)
	if err != nil || trusted == "" && len(j.Broken()) == 0 {
		return x, err
	}
	x.State.Trust = trusted
	for ns, why := range j.Broken() {
		if x.State.Broken == nil {
			x.State.Broken = map[string]string{}
		}
		x.State.Broken[ns] = plain.Short(why.Error())
	}
	return x, s.cache.SaveState(x.State)
}

// versionsOf are the versions that an index has of a package; what is damaged has none.
func versionsOf(x *cache.Index, kind, name string) []records.StoredVersion {
	m, ok := x.Find(kind, name)
	if !ok {
		return nil
	}
	versions, err := x.Versions(m)
	if err != nil {
		return nil
	}
	return versions
}

// A RefusedError says that a version, or the owners of a namespace, are not signed as they must be.
type RefusedError struct {
	Kind          string // as in [NotFoundError]
	Store         string
	Name, Version string // of the version; Name is the namespace alone where it is about its owners
	Why           string
}

func (e *RefusedError) Error() string {
	if e.Version == "" {
		return e.Why
	}
	return fmt.Sprintf("%s %s: version %s is refused: %s", kindOr(e.Kind), e.Name, e.Version, e.Why)
}

// brokenOwners returns an error for the first namespace whose owners are not believed.
func brokenOwners(c Store, x *cache.Index) error {
	for _, ns := range slices.Sorted(maps.Keys(x.State.Broken)) {
		return &RefusedError{Store: c.Name, Name: ns, Why: x.State.Broken[ns]}
	}
	return nil
}

// signedAsPinned returns an error unless a version has the signer that the lock names.
func (l *lookup) signedAsPinned(c Store, v records.StoredVersion) error {
	who := "it is not signed"
	switch {
	case l.pin.Signer == "" && v.Refused != "":
		l.note("%s %s: version %s, which fnb.lock has, is what it was, but: %s", l.kind, l.ref, v.Version, v.Refused)
		return nil
	case l.pin.Signer == "", v.Signer != nil && (v.Signer.Vouched || v.Signer.Key == l.pin.Signer):
		return nil
	case v.Refused != "":
		who = v.Refused
	case v.Signer != nil:
		who = "it is signed by " + v.Signer.String()
	}
	return &RefusedError{Kind: l.kind, Store: c.Name, Name: v.Name, Version: v.Version, Why: "fnb.lock says that " + plain.Short(l.pin.Signer) + " signed it, and now " + who}
}
