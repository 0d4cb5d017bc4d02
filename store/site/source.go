package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"fnb/schema"
	"fnb/store"
	"fnb/store/records"
)

// fetching is how long a page waits for a template's files.
const fetching = 20 * time.Second

// Stores is the source of all that can be used by name on this machine: what is
// part of fnb, what the project has, and what is in the stores that were added.
type Stores struct {
	Store *store.Finder
	Where store.Scope
	// Deploy returns what it takes to run a function elsewhere; nil for nothing.
	Deploy func(schema.Record) []Command
}

// Items implements [Source].
func (s Stores) Items(ctx context.Context) ([]Item, error) {
	functions, _, err := s.Store.Functions(ctx, store.Query{}) // a store that does not answer is shown as it was
	if err != nil {
		return nil, err
	}
	all, err := s.Store.List(ctx, s.Where)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b store.Entry) int { return cmp.Compare(a.Name, b.Name) })
	items := make([]Item, 0, len(functions)+len(all))
	for _, f := range functions {
		items = append(items, entryItem(f.Entry))
	}
	for _, e := range all {
		items = append(items, entryItem(e))
	}
	return items, nil
}

func entryItem(e store.Entry) Item {
	i := Item{
		Kind: cmp.Or(e.Kind, KindTemplate), Name: e.Name, Version: e.Version, Title: e.Title, Description: e.Description,
		Language: e.Language, Tags: slices.Concat(e.Categories, strings.Fields(e.Tags)), Platforms: e.Platforms, Store: e.Store,
		Published: e.Published,
	}
	slices.Sort(i.Tags)
	i.Tags = slices.Compact(i.Tags)
	if e.Deprecated != "" {
		i.Mark = "deprecated"
	}
	return i
}

// Detail implements [Source].
func (s Stores) Detail(ctx context.Context, kind, name string) (Detail, error) {
	if kind == KindFunction {
		p, _, err := s.Store.Package(ctx, kind, name)
		if err != nil {
			return Detail{}, missing(err)
		}
		d := Describe(p, nil)
		if s.Deploy != nil {
			d.Deploy = s.Deploy(p.Newest().Record)
		}
		return d, nil
	}
	return s.template(ctx, name)
}

func (s Stores) template(ctx context.Context, name string) (Detail, error) {
	ctx, stop := context.WithTimeout(ctx, fetching)
	defer stop()
	p, _, perr := s.Store.Package(ctx, KindTemplate, name)
	ref := name
	if perr == nil && p.Newest().Version != "" {
		ref = name + "@" + p.Newest().Version
	}
	t, pin, _, err := s.Store.Resolve(ctx, ref, s.Where)
	switch {
	case err == nil && perr == nil:
		return Describe(p, &Files{t.Template, t.FS}), nil
	case err == nil:
		return DescribeFiles(Item{Name: name, Store: pin.Store}, Files{t.Template, t.FS}), nil
	case perr == nil:
		d := Describe(p, nil)
		if p.Newest().Yanked == nil {
			d.Notes = append(d.Notes, "The files of this version cannot be shown: "+err.Error()+".")
		}
		return d, nil
	}
	return Detail{}, missing(err)
}

// missing makes an error of what no store has one that wraps [fs.ErrNotExist].
func missing(err error) error {
	if _, ok := errors.AsType[*store.NotFoundError](err); ok {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// A Folder is the source of a store that is in a folder. Only its list is kept, since a
// store has very many packages.
type Folder struct {
	// Records are those of the store.
	Records *records.Reader
	// Store fetches the files of templates; nil for pages without them.
	Store *store.Finder
	// Deploy is that of [Stores].
	Deploy func(schema.Record) []Command

	items []Item

	mu    sync.Mutex
	notes []string
}

// Add adds a package of the store to the list.
func (f *Folder) Add(p records.Package) error {
	f.items = append(f.items, Summary(inFolder(p)))
	return nil
}

// inFolder is a package as its page shows it: of its namespace.
func inFolder(p records.Package) records.Package {
	p.Store, _, _ = strings.Cut(p.Name, "/")
	return p
}

// Notes are the templates whose files could not be fetched, sorted.
func (f *Folder) Notes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Sort(f.notes)
	return f.notes
}

// Items implements [Source].
func (f *Folder) Items(context.Context) ([]Item, error) {
	slices.SortStableFunc(f.items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return f.items, nil
}

// Detail implements [Source].
func (f *Folder) Detail(ctx context.Context, kind, name string) (Detail, error) {
	p, err := f.Records.Package(kind, name)
	if err != nil {
		return Detail{}, err
	}
	p = inFolder(p)
	rec := p.Newest().Record
	if kind == KindFunction {
		d := Describe(p, nil)
		if f.Deploy != nil {
			d.Deploy = f.Deploy(rec)
		}
		return d, nil
	}
	if f.Store == nil {
		return Describe(p, nil), nil
	}
	t, err := f.Store.Fetch(ctx, rec)
	if err == nil {
		return Describe(p, &Files{t.Template, t.FS}), nil
	}
	if ctx.Err() != nil {
		return Detail{}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes = append(f.notes, fmt.Sprintf("the files of %s %s: %v", rec.Name, rec.Version, err))
	d := Describe(p, nil)
	d.Notes = []string{"The files of this version could not be fetched when this page was made."}
	return d, nil
}
