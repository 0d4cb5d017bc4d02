package store

import (
	"slices"
	"strings"

	"fnb/origin"
	"fnb/store/git"
)

// reachOf is how far away a store is: a record of it may lead to what is as far or
// farther. Of a store that was never read nothing is known, and it counts as public.
func (s *Finder) reachOf(c Store) origin.Reach {
	if c.isHere() {
		return origin.Machine
	}
	return s.cache.Reach(c.URL)
}

// reachOfPackage is reachOf for the store that the namespace of a package belongs to.
func (s *Finder) reachOfPackage(name string) origin.Reach {
	ns, _, _ := strings.Cut(name, "/")
	all, err := s.Stores()
	if err != nil {
		return origin.Public
	}
	for _, c := range all {
		if slices.Contains(c.Namespaces, ns) {
			return s.reachOf(c)
		}
	}
	return origin.Machine // it is in no store that was added: the caller's own
}

// within is the finder for what somebody leads to who is so far away.
func (s *Finder) within(reach origin.Reach) *Finder {
	return s.Restrain(git.Restraint{Least: reach})
}

// Restrain is the finder for what somebody else names: with r beside what holds for the
// finder already.
func (s *Finder) Restrain(r git.Restraint) *Finder {
	near := *s
	near.git = s.git.Restrain(r)
	return &near
}
