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

	"fnb/internal/plain"
	"fnb/policy"
	"fnb/schema"
	"fnb/store/cache"
	"fnb/store/git"
	"fnb/store/records"
	"fnb/templates"
)

// Options say how a [Finder] works. The zero value works.
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
	Limits git.Limits
	// Timeout is how long a git server may keep silent; 0 means a minute.
	Timeout time.Duration
	// StoresFile is the file of the stores that the user has added; "" means that
	// there are none.
	StoresFile string
	// TrustFile is the file that keeps who owns the namespaces of stores; "" means that
	// nothing is kept, and the owners are taken as a store has them.
	TrustFile string
	// TTL is how long what the cache has of a store is good without asking; 0 means
	// five minutes.
	TTL time.Duration
	// Version is fnb's own, which versions of templates may ask for; "" and what is
	// not SemVer fit everything.
	Version string
	// Getenv is where tokens and the like are looked up; nil means the process'
	// environment.
	Getenv func(string) string
}

// A Finder finds templates and functions.
type Finder struct {
	opts  Options
	cache *cache.Cache
	git   *git.Client
}

// A Scope says for whom a template is looked up.
type Scope struct {
	// Root is the stack file's folder. A folder of templates elsewhere, that the stack
	// names or that a link leads to, is a [*schema.OutsideError], unless Allow names it.
	Root    string
	Allow   []string                // absolute
	Sources []schema.TemplateSource // what the stack names; exclusive
	Lock    *schema.Lock            // nil means that nothing is pinned
	Frozen  bool                    // the lock must have the template
	// Platforms are those that the template has to be for; none means any.
	Platforms schema.Platforms
	// Policy decides whether what was found may be used; nil allows everything.
	Policy *policy.Policy
	// Before is what the lock had before it was to be looked up anew: it was used, and may
	// be again, however young it is.
	Before schema.Pin
	// OpenFaaS lets a name that nothing else has be that of a template of OpenFaaS's
	// template store, whose repository is asked.
	OpenFaaS bool
}

// New returns a Finder. It touches neither disk nor network yet.
func New(opts Options) (*Finder, error) {
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
	opts.TTL = cmp.Or(opts.TTL, storeTTL)
	return &Finder{
		opts: opts, cache: cache.New(dir, opts.CacheSize),
		git: git.New(git.Options{Insecure: opts.Insecure, RootCAs: opts.RootCAs, Limits: opts.Limits, Timeout: opts.Timeout, Getenv: opts.Getenv}),
	}, nil
}

// Resolve returns the template that ref names, with the pin to record for it, and
// notes on what was passed over and why.
//
// The lock's entry for ref is authoritative: a template with another content is a
// [*MismatchError], and so is no entry with scope.Frozen. Only a template that is
// in a folder of the project, and was when it was pinned, may have changed since;
// Resolve then says so in a note, unless scope.Frozen.
func (s *Finder) Resolve(ctx context.Context, ref string, scope Scope) (*templates.Template, schema.Pin, []string, error) {
	parsed, err := schema.ParseTemplateRef(ref)
	if err != nil {
		return nil, schema.Pin{}, nil, err
	}
	l := &lookup{finder: s, kind: schema.KindTemplate, ref: ref, parsed: parsed, scope: scope}
	if scope.Lock != nil {
		l.pin, l.pinned = scope.Lock.Templates[ref]
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
	notes, err := scope.Policy.Template(l.known(found))
	if l.notes = append(l.notes, notes...); err != nil {
		return nil, schema.Pin{}, l.notes, err
	}
	return found.template, found.pin, l.notes, nil
}

// known is what a policy is asked about.
func (l *lookup) known(f resolution) policy.Template {
	t := policy.Template{
		Reference: l.ref, Store: f.pin.Store, Name: f.template.Name, Version: f.pin.Version,
		Locked: l.pinned || f.pin.Checksum == l.scope.Before.Checksum, Here: f.folder || f.pin.Store == Official,
	}
	if l.record == nil {
		return t
	}
	t.Name, t.Recorded = l.record.Name, true
	if s := l.record.Signer; s != nil {
		t.Signer, t.Vouched = s.Key, s.Vouched
	}
	if l.record.Published != nil {
		t.Published = *l.record.Published
	}
	if y := l.record.Yanked; y != nil {
		t.Yanked, t.Use = plain.Short(y.Reason), y.Use
	}
	return t
}

// A resolution is a template and how it was found.
type resolution struct {
	template *templates.Template
	pin      schema.Pin
	folder   bool // it is in a folder of the project's
}

// check compares what was found with the lock.
func (l *lookup) check(f resolution) error {
	switch {
	case !l.pinned && l.scope.Frozen:
		return &MismatchError{Reference: l.ref, Problem: "fnb.lock does not have it"}
	case !l.pinned, l.pin.Checksum == f.pin.Checksum:
		return nil
	case f.folder && isFolderStore(l.pin.Store) && !l.scope.Frozen:
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
	Signer      string `json:"signer,omitempty"`     // who signed its version; "" where nobody must

	// Of functions, and of templates where they are known.
	Title      string   `json:"title,omitempty"`
	Categories []string `json:"categories,omitempty"`
	Platforms  []string `json:"platforms,omitempty"` // none means any

	// Published is when its version was published; zero if its record does not say.
	Published time.Time `json:"published,omitzero"`

	// Missing is true for a repository that is not in the cache yet; only its
	// Name and Store are known.
	Missing bool `json:"missing,omitempty"`
}

// List returns what [Finder.Resolve] would find by name, in its order: the stack's
// sources, ./template, the official templates, and what the cache has of the
// stores. A name that is taken by an earlier one is left out. It does not use the
// network.
func (s *Finder) List(ctx context.Context, scope Scope) ([]Entry, error) {
	var all []Entry
	taken := map[string]bool{}
	add := func(e Entry) {
		if !taken[e.Name] {
			taken[e.Name] = true
			all = append(all, e)
		}
	}
	offline := *s
	offline.opts.Offline = true
	for _, src := range scope.Sources {
		if src.Source == "" {
			continue
		}
		parsed, err := schema.ParseTemplateRef(src.Name)
		if err != nil {
			return nil, err
		}
		e := Entry{Kind: schema.KindTemplate, Name: parsed.String(), Store: sourceName(src.Source), Missing: true}
		t, _, _, err := offline.Resolve(ctx, src.Name, scope)
		if err == nil {
			e = entry(e.Name, e.Store, t)
		} else if _, offline := errors.AsType[*OfflineError](err); !offline {
			if _, outside := errors.AsType[*schema.OutsideError](err); !outside {
				return nil, err
			}
		}
		add(e)
	}
	vendored, err := vendoredNames(scope.Root)
	if err != nil {
		return nil, err
	}
	for _, name := range vendored {
		t, err := templates.OpenDir(filepath.Join(scope.Root, vendorDir, name))
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
func (s *Finder) listStores(kind string, add func(Entry)) error {
	stores, err := s.Stores()
	if err != nil {
		return err
	}
	for _, c := range stores {
		x, ok := s.cache.OpenIndex(c.URL)
		if !ok {
			continue
		}
		for _, m := range x.All(kind) {
			if ns, _, _ := strings.Cut(m.Name, "/"); slices.Contains(c.Namespaces, ns) {
				add(summaryEntry(m, kind, c.Name))
			}
		}
	}
	return nil
}

// summaryEntry is the summary of a package in a store.
func summaryEntry(m records.Summary, kind, store string) Entry {
	return Entry{
		Kind: kind, Name: m.Name, Version: m.Latest, Store: store, Language: m.Language, Description: m.Description, Tags: m.Tags,
		Deprecated: m.Deprecated, Title: m.Title, Categories: strings.Fields(m.Categories), Platforms: strings.Fields(m.Platforms),
		Published: m.Published.UTC(), Signer: m.Signer,
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

// Prune removes what was not used for the longest time, until the templates of the
// cache have no more bytes than [Options.CacheSize], and returns how many it removed. It
// waits until no other process uses the cache. The finder itself must not have been used
// before.
func (s *Finder) Prune(ctx context.Context) (int64, error) { return s.cache.Prune(ctx) }

// Close lets other processes prune the cache. Templates that the finder has returned
// must not be used any more.
func (s *Finder) Close() error { return s.cache.Close() }

// Fresh is the finder with an empty cache of its own, until the function is called.
func (s *Finder) Fresh() (*Finder, func(), error) {
	dir, err := os.MkdirTemp("", "fnb-fresh-")
	if err != nil {
		return nil, nil, err
	}
	// What is left of it harms nobody.
	return &Finder{opts: s.opts, cache: cache.New(dir, 0), git: s.git}, func() { _ = os.RemoveAll(dir) }, nil
}

// Git is what the finder asks repositories with.
func (s *Finder) Git() *git.Client { return s.git }

// Author is who publishes, as git knows it.
func (s *Finder) Author() (git.Signature, error) { return git.Author(s.opts.Getenv) }
