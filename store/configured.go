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

	"github.com/gofrs/flock"

	"fnb/schema"
)

// storesFormat is the format of the file of configured stores.
const storesFormat = 1

// A Configured store is one that the user has added.
type Configured struct {
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
}

// isList reports whether the store is a list of OpenFaaS'.
func (c Configured) isList() bool { return strings.HasSuffix(c.URL, ".json") }

// isFolder reports whether the store is a folder without git.
func (c Configured) isFolder() bool { return filepath.IsAbs(c.URL) && !c.isList() && !c.isIndex() }

// isHere reports whether the store is on this machine, and needs no network.
func (c Configured) isHere() bool {
	return filepath.IsAbs(c.URL) || strings.HasPrefix(c.URL, "file://")
}

type storesFile struct {
	V      int          `json:"v"`
	Stores []Configured `json:"stores"`
}

// Stores returns the stores that the user has added, in that order.
func (s *Store) Stores() ([]Configured, error) {
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
	return f.Stores, nil
}

// configured returns the store that has a name.
func (s *Store) configured(name string) (Configured, error) {
	all, err := s.Stores()
	if err != nil {
		return Configured{}, err
	}
	var names []string
	for _, c := range all {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Configured{}, &NoStoreError{Name: name, Near: schema.Near(name, names)}
}

// changeStores replaces the configured stores by what change makes of them, while
// no other process does the same.
func (s *Store) changeStores(ctx context.Context, change func([]Configured) ([]Configured, error)) error {
	if s.opts.StoresFile == "" {
		return errors.New("there is no file to keep stores in")
	}
	if err := os.MkdirAll(filepath.Dir(s.opts.StoresFile), 0o755); err != nil {
		return fmt.Errorf("keeping the stores: %w", err)
	}
	l := flock.New(s.opts.StoresFile+".lock", flock.SetPermissions(0o600))
	if _, err := l.TryLockContext(ctx, lockRetry); err != nil {
		return fmt.Errorf("keeping the stores: %w", err)
	}
	defer func() { _ = l.Close() }() // closing releases the lock, whatever it returns
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
	return schema.WriteFile(s.opts.StoresFile, append(data, '\n'), 0o644)
}

// AddStore adds a store after it has read it. The namespaces become the store's:
// those that are named, or else all that it has and that are no other store's.
// What could not be taken is in the notes.
func (s *Store) AddStore(ctx context.Context, name, url string, namespaces []string) (Configured, []string, error) {
	c := Configured{Name: name, Namespaces: namespaces, Fixed: len(namespaces) > 0}
	var err error
	if err := schema.ValidateName(name); err != nil {
		return c, nil, err
	}
	for _, ns := range namespaces {
		if err := schema.ValidateName(ns); err != nil {
			return c, nil, err
		}
	}
	if c.URL, err = storeURL(url); err != nil {
		return c, nil, err
	}
	taken := func(all []Configured) error {
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
	err = s.changeStores(ctx, func(all []Configured) ([]Configured, error) {
		return append(all, c), taken(all)
	})
	if err != nil {
		return c, notes, err
	}
	bound, err := s.bind(ctx, c, x)
	if err != nil {
		return c, notes, err
	}
	c, err = s.configured(name)
	return c, append(notes, bound...), err
}

// storeURL is the URL or folder of a store as it is kept.
func storeURL(text string) (string, error) {
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
		return "", &NoStoreError{Name: text, Err: errors.New("there is no such folder or file, and it is no URL")}
	}
	return abs, nil
}

// RemoveStore forgets a store, its namespaces and what the cache has of it.
func (s *Store) RemoveStore(ctx context.Context, name string) error {
	c, err := s.configured(name)
	if err != nil {
		return err
	}
	err = s.changeStores(ctx, func(all []Configured) ([]Configured, error) {
		return slices.DeleteFunc(all, func(o Configured) bool { return o.Name == name }), nil
	})
	if err != nil {
		return err
	}
	unlock, err := s.cache.lockRepo(ctx, "store "+c.URL)
	if err != nil {
		return err
	}
	defer unlock()
	return s.cache.forgetIndex(c.URL)
}

// bind makes those namespaces of an index its store's that are no other's, and
// says which are.
func (s *Store) bind(ctx context.Context, c Configured, x *index) ([]string, error) {
	if c.Fixed {
		return nil, nil
	}
	var notes []string
	all, err := s.Stores()
	if err != nil {
		return nil, err
	}
	missing := func(all []Configured) (free []string) {
		owner := map[string]string{}
		for _, o := range all {
			for _, ns := range o.Namespaces {
				owner[ns] = o.Name
			}
		}
		notes = nil
		for _, ns := range x.namespaces() {
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
	err = s.changeStores(ctx, func(all []Configured) ([]Configured, error) {
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
func (s *Store) UpdateStores(ctx context.Context, names ...string) (notes []string, err error) {
	all, err := s.Stores()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := s.configured(name); err != nil {
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
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("store %s: %w", c.Name, err))
		}
	}
	return notes, errors.Join(errs...)
}
