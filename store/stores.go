package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fnb/internal/disk"
	"fnb/internal/spelling"
	"fnb/schema"
	"fnb/store/cache"
	"fnb/store/git"
	"fnb/store/records"
)

// storesFormat is the format of the file of configured stores.
const storesFormat = 1

// A Store is one that the user has added: [Finder.Stores] reads them, [At] is one that
// nobody has added yet. Its kind is known from then on.
type Store struct {
	Name string `json:"name"`
	// URL is of a git repository, of the folder of an index, then with a slash at its
	// end, of OpenFaaS' list of templates, or the absolute path of a folder or such a
	// list. It holds no credentials.
	URL string `json:"url"`
	// Namespaces are those that belong to the store: they are looked up nowhere
	// else.
	Namespaces []string `json:"namespaces,omitempty"`
	// Fixed says that the user has named the namespaces, and that the store gets
	// no others.
	Fixed bool `json:"fixed,omitempty"`

	kind source
}

// isHere reports whether the store is on this machine, and needs no network.
func (c Store) isHere() bool {
	return filepath.IsAbs(c.URL) || strings.HasPrefix(c.URL, "file://")
}

// MayLeadTo reports whether what the store says may lead to a URL: to a folder of this
// machine only if the store is here too. To others such a folder means nothing.
func (c Store) MayLeadTo(url string) bool {
	return c.isHere() || !strings.HasPrefix(url, "file:")
}

// mayName refuses a package whose repository the store may not lead to.
func (c Store) mayName(name, url string) error {
	if c.MayLeadTo(url) {
		return nil
	}
	return &git.RefusedError{Source: "store " + c.Name, Path: name, Reason: "its repository would be a folder of this machine"}
}

type storesFile struct {
	V      int     `json:"v"`
	Stores []Store `json:"stores"`
}

// Stores returns the stores that the user has added, in that order.
func (s *Finder) Stores() ([]Store, error) {
	if s.opts.StoresFile == "" {
		return nil, nil
	}
	data, err := os.ReadFile(s.opts.StoresFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the stores: %w", err)
	}
	var f storesFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.opts.StoresFile, err)
	}
	if f.V > storesFormat {
		return nil, fmt.Errorf("reading %s: %w", s.opts.StoresFile, schema.ErrNewerFormat)
	}
	for i, c := range f.Stores {
		f.Stores[i] = c.at(c.URL)
	}
	return f.Stores, nil
}

// Store returns the store that has a name.
func (s *Finder) Store(name string) (Store, error) {
	all, err := s.Stores()
	if err != nil {
		return Store{}, err
	}
	var names []string
	for _, c := range all {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Store{}, &records.NoStoreError{Name: name, Near: spelling.Near(name, names)}
}

// changeStores replaces the configured stores by what change makes of them, while
// no other process does the same.
func (s *Finder) changeStores(ctx context.Context, change func([]Store) ([]Store, error)) error {
	if s.opts.StoresFile == "" {
		return errors.New("there is no file to keep stores in")
	}
	if err := os.MkdirAll(filepath.Dir(s.opts.StoresFile), 0o755); err != nil {
		return fmt.Errorf("keeping the stores: %w", err)
	}
	unlock, err := disk.Lock(ctx, s.opts.StoresFile+".lock")
	if err != nil {
		return fmt.Errorf("keeping the stores: %w", err)
	}
	defer unlock()
	old, err := s.Stores()
	if err != nil {
		return err
	}
	changed, err := change(slices.Clone(old))
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(storesFile{V: storesFormat, Stores: changed}, "", "  ")
	if err != nil {
		return err
	}
	return disk.ReplaceFile(s.opts.StoresFile, append(data, '\n'), 0o644)
}

// AddStore adds a store after it has read it. The namespaces become the store's:
// those that are named, or else all that it has and that are no other store's.
// What could not be taken is in the notes.
func (s *Finder) AddStore(ctx context.Context, name, url string, namespaces []string) (Store, []string, error) {
	c := Store{Name: name, Namespaces: namespaces, Fixed: len(namespaces) > 0}
	var err error
	if err := schema.ValidateName(name); err != nil {
		return c, nil, err
	}
	for _, ns := range namespaces {
		if err := schema.ValidateName(ns); err != nil {
			return c, nil, err
		}
	}
	if url, err = ParseURL(url); err != nil {
		return c, nil, err
	}
	c = c.at(url)
	taken := func(all []Store) error {
		for _, o := range all {
			if o.Name == name {
				return fmt.Errorf("there is a store %s already: %s", name, o.URL)
			}
			for _, ns := range namespaces {
				if slices.Contains(o.Namespaces, ns) {
					return fmt.Errorf("the namespace %s belongs to the store %s", ns, o.Name)
				}
			}
		}
		return nil
	}
	all, err := s.Stores()
	if err != nil {
		return c, nil, err
	}
	if err := taken(all); err != nil {
		return c, nil, err
	}
	c, x, notes, err := s.refreshEither(ctx, c)
	if err != nil {
		return c, notes, err
	}
	err = s.changeStores(ctx, func(all []Store) ([]Store, error) {
		return append(all, c), taken(all)
	})
	if err != nil {
		return c, notes, err
	}
	bound, err := s.bind(ctx, c, x)
	if err != nil {
		return c, notes, err
	}
	c, err = s.Store(name)
	return c, append(notes, bound...), err
}

// ParseURL is the URL or folder of a store as it is kept.
func ParseURL(text string) (string, error) {
	if address, ok, err := indexURL(text); ok || err != nil {
		return address, err
	}
	ref, err := schema.ParseTemplateRef(text)
	isGit := err == nil && ref.Kind == schema.RefGit
	switch {
	case isGit && (ref.Path != "" || ref.Ref != ""):
		return "", fmt.Errorf("%s is a place in a repository, and a store is a whole one", ref)
	case isGit:
		return ref.URL, nil
	case strings.Contains(text, "://"):
		return "", err
	}
	abs, err := filepath.Abs(text)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(abs); err != nil {
		return "", &records.NoStoreError{Name: text, Err: errors.New("it is neither a folder, a file nor a URL")}
	}
	if isBare(abs) {
		return "", &records.NoStoreError{Name: text, Err: &records.BareError{Path: abs}}
	}
	return abs, nil
}

// RemoveStore forgets a store, its namespaces and what the cache has of it.
func (s *Finder) RemoveStore(ctx context.Context, name string) error {
	c, err := s.Store(name)
	if err != nil {
		return err
	}
	err = s.changeStores(ctx, func(all []Store) ([]Store, error) {
		return slices.DeleteFunc(all, func(o Store) bool { return o.Name == name }), nil
	})
	if err != nil {
		return err
	}
	unlock, err := s.cache.Lock(ctx, "store "+c.URL)
	if err != nil {
		return err
	}
	defer unlock()
	return s.cache.ForgetIndex(c.URL)
}

// bind makes those namespaces of an index its store's that are no other's, and
// says which are.
func (s *Finder) bind(ctx context.Context, c Store, x *cache.Index) ([]string, error) {
	if c.Fixed {
		return nil, nil
	}
	var notes []string
	all, err := s.Stores()
	if err != nil {
		return nil, err
	}
	missing := func(all []Store) (free []string) {
		owner := map[string]string{}
		for _, o := range all {
			for _, ns := range o.Namespaces {
				owner[ns] = o.Name
			}
		}
		notes = nil
		for _, ns := range x.Namespaces() {
			switch o, ok := owner[ns]; {
			case !ok:
				free = append(free, ns)
			case o != c.Name:
				notes = append(notes, fmt.Sprintf("store %s: its namespace %s is not used, because it belongs to the store %s", c.Name, ns, o))
			}
		}
		return free
	}
	if len(missing(all)) == 0 {
		return notes, nil
	}
	err = s.changeStores(ctx, func(all []Store) ([]Store, error) {
		free := missing(all)
		for i := range all {
			if all[i].Name == c.Name && all[i].URL == c.URL {
				all[i].Namespaces = slices.Sorted(slices.Values(append(slices.Clone(all[i].Namespaces), free...)))
			}
		}
		return all, nil
	})
	return notes, err
}

// UpdateStores reads stores anew: those with the names, or all. One that fails does
// not stop the others.
func (s *Finder) UpdateStores(ctx context.Context, names ...string) (notes []string, err error) {
	all, err := s.Stores()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := s.Store(name); err != nil {
			return nil, err
		}
	}
	var errs []error
	for _, c := range all {
		if len(names) > 0 && !slices.Contains(names, c.Name) {
			continue
		}
		x, more, err := s.refresh(ctx, c)
		notes = append(notes, more...)
		if err == nil {
			more, err = s.bind(ctx, c, x)
			notes = append(notes, more...)
			err = errors.Join(err, brokenOwners(c, x))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("store %s: %w", c.Name, err))
		}
	}
	return notes, errors.Join(errs...)
}

// isBare reports whether a folder is a git repository without a checkout.
func isBare(dir string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}
