package store

import (
	"context"

	"fnb/origin"
	"fnb/store/cache"
)

// What the tests of the whole room look into.

// Opts are the options of a finder.
func (s *Finder) Opts() *Options { return &s.opts }

// Cache is the cache of a finder.
func (s *Finder) Cache() *cache.Cache { return s.cache }

// Within is the finder for what somebody leads to who is so far away.
func (s *Finder) Within(reach origin.Reach) *Finder { return s.within(reach) }

// ReachOf is how far away a store is.
func (s *Finder) ReachOf(c Store) origin.Reach { return s.reachOf(c) }

// IsMissing reports whether an error lets the search go on elsewhere.
func IsMissing(err error) bool { return isMissing(err) }

// OpenFaaSNames are the names of OpenFaaS's template store, as of OpenFaaSDate.
func OpenFaaSNames() string { return openFaaSNames }

// OpenFaaSDate is the day of which the names are.
const OpenFaaSDate = openFaaSDate

// ChangeStores replaces the stores by what change makes of them.
func (s *Finder) ChangeStores(ctx context.Context, change func([]Store) ([]Store, error)) error {
	return s.changeStores(ctx, change)
}

// KindOf is the kind of a store, as its file is named.
func KindOf(c Store) string {
	switch c.kind.(type) {
	case listSource:
		return "list"
	case indexSource:
		return "index"
	case folderSource:
		return "folder"
	}
	return "git"
}
