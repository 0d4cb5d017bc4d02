package store

import (
	"context"
	"slices"

	"fnb/store/cache"
)

// A source is how the stores of one kind are read and added to. Each kind has a file of
// its own.
type source interface {
	// is reports whether a store's URL, as it is kept, is of the kind.
	is(url string) bool
	// refresh asks the store and brings the cache up to date, whose lock is held; old is
	// what the cache has, nil for nothing.
	refresh(ctx context.Context, s *Finder, c Store, old *cache.Index) (*cache.Index, error)
	// addOnce adds files to the store as it is now, which tip names. The error wraps
	// [git.ErrRejected] where somebody else was faster.
	addOnce(ctx context.Context, s *Finder, c Store, a Addition) (done Added, tip string, err error)
	// parts is what the store is made of, in words.
	parts() (one, many string)
}

// sources are the kinds of stores. The first that a URL is of counts: a kind is added
// here, and in a file.
func sources() []source {
	return []source{listSource{}, indexSource{}, folderSource{}, gitSource{}}
}

// At returns the store at a URL, which [ParseURL] has returned.
func At(name, url string) Store { return Store{Name: name}.at(url) }

// at returns the store at another URL, and so perhaps of another kind.
func (c Store) at(url string) Store {
	all := sources()
	c.URL, c.kind = url, all[slices.IndexFunc(all, func(kind source) bool { return kind.is(url) })] // the last is whatever is no other
	return c
}
