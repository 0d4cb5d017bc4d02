package store

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fnb/origin"
	"fnb/schema"
	"fnb/templates"
)

// Options say how a [Store] works. The zero value works.
type Options struct {
	// CacheDir is the folder of the cache; "" means fnb/store in the user's cache
	// folder.
	CacheDir string
	// CacheSize is how many bytes of templates the cache keeps: when a process that
	// uses it begins, and no other does, those that were not used for the longest time
	// are removed. 0 means 1 GiB.
	CacheSize int64
	// Offline forbids the network; what is in the cache still works.
	Offline bool
	// Insecure are hosts, with their ports, that may be spoken to in plain HTTP or
	// by the git protocol. This machine always may.
	Insecure []string
	// RootCAs are the certificate authorities; nil means the system's.
	RootCAs *x509.CertPool
	// Limits bound what is taken from a repository; zero values are the defaults.
	Limits Limits
	// Timeout is how long a git server may keep silent; 0 means a minute.
	Timeout time.Duration
	// StoresFile is the file of the stores that the user has added; "" means that
	// there are none.
	StoresFile string
	// TTL is how long what the cache has of a store is good without asking; 0 means
	// five minutes.
	TTL time.Duration
	// Version is fnb's own, which versions of templates may ask for; "" and what is
	// not SemVer fit everything.
	Version string
	// Getenv is where tokens and the like are looked up; nil means the process'
	// environment.
	Getenv func(string) string

	git   *gitConfigOnce
	least origin.Reach // that whoever is asked must have
	// maySend says whether credentials may be sent to a repository; nil is yes.
	maySend func(url string) bool
	sent    func(url string) // is told where they were; may be nil
}

// Limits bound what is taken from a repository.
type Limits struct {
	Download int64 // bytes that are fetched; 0 means 256 MiB
	Unpacked int64 // bytes of all objects that were fetched; 0 means 1 GiB
	File     int64 // bytes of one file; 0 means 32 MiB
	Template int64 // bytes of a template's files; 0 means 128 MiB
	Files    int64 // files of a template; 0 means 10 000
	Objects  int64 // objects that are fetched; 0 means 200 000
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Download: cmp.Or(l.Download, 256<<20),
		Unpacked: cmp.Or(l.Unpacked, 1<<30),
		File:     cmp.Or(l.File, 32<<20),
		Template: cmp.Or(l.Template, 128<<20),
		Files:    cmp.Or(l.Files, 10_000),
		Objects:  cmp.Or(l.Objects, 200_000),
	}
}

// A Store finds templates.
type Store struct {
	opts  Options
	cache *cache
}

// Where says for whom a template is looked up.
type Where struct {
	// Root is the stack file's folder. A folder of templates elsewhere, that the stack
	// names or that a link leads to, is a [*schema.OutsideError], unless Allow names it.
	Root    string
	Allow   []string                // absolute
	Sources []schema.TemplateSource // what the stack names; exclusive
	Lock    *schema.Lock            // nil means that nothing is pinned
	Frozen  bool                    // the lock must have the template
	// Platforms are those that the template has to be for; none means any.
	Platforms schema.Platforms
	// OpenFaaS lets a name that nothing else has be that of a template of OpenFaaS's
	// template store, whose repository is asked.
	OpenFaaS bool
}

// New returns a store. It touches neither disk nor network yet.
func New(opts Options) (*Store, error) {
	if opts.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("finding the cache: %w", err)
		}
		opts.CacheDir = filepath.Join(dir, "fnb", "store")
	}
	dir, err := filepath.Abs(opts.CacheDir)
	if err != nil {
		return nil, fmt.Errorf("finding the cache: %w", err)
	}
	if opts.Getenv == nil {
		opts.Getenv = os.Getenv
	}
	opts.git = &gitConfigOnce{}
	opts.Limits = opts.Limits.withDefaults()
	opts.Timeout = cmp.Or(opts.Timeout, time.Minute)
	opts.TTL = cmp.Or(opts.TTL, storeTTL)
	return &Store{opts: opts, cache: &cache{dir: dir, limit: cmp.Or(opts.CacheSize, defaultCacheSize)}}, nil
}

// Resolve returns the template that ref names, with the pin to record for it, and
// notes on what was passed over and why.
//
// The lock's entry for ref is authoritative: a template with another content is a
// [*MismatchError], and so is no entry with where.Frozen. Only a template that is
// in a folder of the project, and was when it was pinned, may have changed since;
// Resolve then says so in a note, unless where.Frozen.
func (s *Store) Resolve(ctx context.Context, ref string, where Where) (*templates.Template, schema.Pin, []string, error) {
	parsed, err := schema.ParseTemplateRef(ref)
	if err != nil {
		return nil, schema.Pin{}, nil, err
	}
	l := &lookup{store: s, kind: schema.KindTemplate, ref: ref, parsed: parsed, where: where}
	if where.Lock != nil {
		l.pin, l.pinned = where.Lock.Templates[ref]
	}
	found, err := l.find(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, schema.Pin{}, l.notes, err
	}
	if err := l.check(found); err != nil {
		return nil, schema.Pin{}, l.notes, err
	}
	return found.template, found.pin, l.notes, nil
}

// A found is a template and how it was found.
type found struct {
	template *templates.Template
	pin      schema.Pin
	folder   bool // it is in a folder of the project's
}

// check compares what was found with the lock.
func (l *lookup) check(f found) error {
	switch {
	case !l.pinned && l.where.Frozen:
		return &MismatchError{Reference: l.ref, Problem: "fnb.lock does not have it"}
	case !l.pinned, l.pin.Checksum == f.pin.Checksum:
		return nil
	case f.folder && isFolderStore(l.pin.Store) && !l.where.Frozen:
		l.note("template %s: the files in %s have changed since fnb.lock pinned them", l.ref, f.pin.Store)
		return nil
	}
	return &MismatchError{Reference: l.ref, Want: l.pin.Checksum, Got: f.pin.Checksum}
}

// isFolderStore reports whether a pin is of a template in a folder.
func isFolderStore(store string) bool {
	return store == "." || store == ".." || strings.HasPrefix(store, "./") || strings.HasPrefix(store, "../") || filepath.IsAbs(store)
}

// An Entry is a template or function that can be used by name.
type Entry struct {
	Kind        string `json:"kind"`
	Name        string `json:"name"` // what to write in a stack
	Version     string `json:"version,omitempty"`
	Store       string `json:"store"` // "official", a folder, or a git URL without credentials
	Language    string `json:"language,omitempty"`
	Description string `json:"description,omitempty"`
	Tags        string `json:"tags,omitempty"`       // separated by spaces
	Deprecated  string `json:"deprecated,omitempty"` // why it should not be used any more

	// Of functions, and of templates where they are known.
	Title      string   `json:"title,omitempty"`
	Categories []string `json:"categories,omitempty"`
	Platforms  []string `json:"platforms,omitempty"` // none means any

	// Missing is true for a repository that is not in the cache yet; only its
	// Name and Store are known.
	Missing bool `json:"missing,omitempty"`
}

// List returns what [Store.Resolve] would find by name, in its order: the stack's
// sources, ./template, the official templates, and what the cache has of the
// stores. A name that is taken by an earlier one is left out. It does not use the
// network.
func (s *Store) List(ctx context.Context, where Where) ([]Entry, error) {
	var all []Entry
	taken := map[string]bool{}
	add := func(e Entry) {
		if !taken[e.Name] {
			taken[e.Name] = true
			all = append(all, e)
		}
	}
	offline := &Store{opts: s.opts, cache: s.cache}
	offline.opts.Offline = true
	for _, src := range where.Sources {
		if src.Source == "" {
			continue
		}
		parsed, err := schema.ParseTemplateRef(src.Name)
		if err != nil {
			return nil, err
		}
		e := Entry{Kind: schema.KindTemplate, Name: parsed.String(), Store: sourceName(src.Source), Missing: true}
		t, _, _, err := offline.Resolve(ctx, src.Name, where)
		if err == nil {
			e = entry(e.Name, e.Store, t)
		} else if _, offline := errors.AsType[*OfflineError](err); !offline {
			if _, outside := errors.AsType[*schema.OutsideError](err); !outside {
				return nil, err
			}
		}
		add(e)
	}
	vendored, err := vendoredNames(where.Root)
	if err != nil {
		return nil, err
	}
	for _, name := range vendored {
		t, err := templates.OpenDir(filepath.Join(where.Root, vendorDir, name))
		if err != nil {
			return nil, err
		}
		add(entry(name, "./"+vendorDir+"/"+name, t))
	}
	official, err := templates.Official()
	if err != nil {
		return nil, err
	}
	for _, t := range official {
		add(entry(t.Name, Official, t))
	}
	if err := s.listStores(schema.KindTemplate, add); err != nil {
		return nil, err
	}
	return all, ctx.Err()
}

// listStores adds what the cache has of the stores, each namespace of the store
// that it belongs to.
func (s *Store) listStores(kind string, add func(Entry)) error {
	stores, err := s.Stores()
	if err != nil {
		return err
	}
	for _, c := range stores {
		x, ok := s.cache.openIndex(c.URL)
		if !ok {
			continue
		}
		for _, m := range x.all(kind) {
			if ns, _, _ := strings.Cut(m.Name, "/"); slices.Contains(c.Namespaces, ns) {
				add(m.entry(kind, c.Name))
			}
		}
	}
	return nil
}

// entry is the summary of a package in a store.
func (m summary) entry(kind, store string) Entry {
	return Entry{
		Kind: kind, Name: m.Name, Version: m.Latest, Store: store, Language: m.Language, Description: m.Description, Tags: m.Tags,
		Deprecated: m.Deprecated, Title: m.Title, Categories: strings.Fields(m.Categories), Platforms: strings.Fields(m.Platforms),
	}
}

func entry(name, store string, t *templates.Template) Entry {
	var platforms []string
	for _, p := range t.Manifest.Platforms {
		platforms = append(platforms, p.String())
	}
	return Entry{
		Platforms: platforms,
		Kind:      schema.KindTemplate, Name: name, Store: store, Version: t.Manifest.Version,
		Language: t.Manifest.Language, Description: t.Manifest.Description,
	}
}
