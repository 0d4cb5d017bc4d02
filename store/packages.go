package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/store/records"
	"fnb/templates"
)

// Package returns what a store has of a template or function: ref is namespace/name,
// name for a function that is part of fnb, or store:namespace/name; a range in it
// does not count. A package that is deprecated is in the notes as well.
func (s *Finder) Package(ctx context.Context, kind, ref string) (records.Package, []string, error) {
	l, err := s.lookup(kind, ref, Scope{})
	if err != nil {
		return records.Package{}, nil, err
	}
	p, err := l.storedPackage(ctx)
	return p, l.notes, err
}

// Fetch returns the files of one version of a template, which have to be those that
// its record tells.
func (s *Finder) Fetch(ctx context.Context, rec schema.Record) (*templates.Template, error) {
	t, err := s.within(s.reachOfPackage(rec.Name)).FetchTemplate(ctx, rec.Source.Git)
	if err != nil {
		return nil, err
	}
	if t.Checksum != rec.Checksum {
		return nil, &MismatchError{Reference: rec.Name + "@" + rec.Version, Want: rec.Checksum, Got: t.Checksum}
	}
	return t, nil
}

// lookup begins to look for a package by its name.
func (s *Finder) lookup(kind, ref string, scope Scope) (*lookup, error) {
	parsed, err := schema.ParseTemplateRef(ref)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, plain.Short(ref), err)
	}
	if parsed.Kind != schema.RefName {
		return nil, &NotFoundError{Kind: kind, Name: ref, Err: errors.New("it is not the name of one in a store")}
	}
	return &lookup{finder: s, kind: kind, ref: ref, parsed: parsed, scope: scope}, nil
}

// storedPackage finds the package that the reference names.
func (l *lookup) storedPackage(ctx context.Context) (records.Package, error) {
	if l.kind == schema.KindFunction && l.parsed.Namespace == "" && (l.parsed.Store == "" || l.parsed.Store == Official) {
		return l.officialFunction()
	}
	c, err := l.home(ctx)
	if err != nil {
		return records.Package{}, err
	}
	versions, err := l.versions(ctx, c, false)
	if err != nil {
		return records.Package{}, err
	}
	return l.packOf(c, versions), nil
}

func (l *lookup) packOf(c Store, versions []records.StoredVersion) records.Package {
	p := records.StoredPackage{Name: versions[0].Name, Versions: versions}
	v := records.NewestOf(versions)
	p.About = schema.Package{V: schema.RecordVersion, Description: v.Description, Deprecated: v.Deprecated}
	if x, ok := l.finder.cache.OpenIndex(c.URL); ok {
		if m, ok := x.Find(l.kind, p.Name); ok {
			p.About.Tags = strings.Fields(m.Tags)
			p.About.Description = cmp.Or(m.Description, p.About.Description)
		}
	}
	return p.Exported(c.Name)
}

// A Function is one version of a function.
type Function struct {
	Package records.Package `json:"package"` // all there is of it
	Record  schema.Record   `json:"record"`  // of the version
	Yanked  *schema.Yank    `json:"yanked,omitempty"`
	Signer  *records.Signer `json:"signer,omitempty"` // who signed the record; nil where nobody must
}

// Function finds the version of a function that ref means, as [Finder.Resolve] finds
// that of a template: among the versions that are for scope.Platforms, and never a
// withdrawn one. The notes say what was passed over, and why.
func (s *Finder) Function(ctx context.Context, ref string, scope Scope) (Function, []string, error) {
	l, err := s.lookup(schema.KindFunction, ref, scope)
	if err != nil {
		return Function{}, nil, err
	}
	f, err := l.function(ctx)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return f, l.notes, err
}

func (l *lookup) function(ctx context.Context) (Function, error) {
	if l.parsed.Namespace == "" && (l.parsed.Store == "" || l.parsed.Store == Official) {
		p, err := l.officialFunction()
		if err != nil {
			return Function{}, err
		}
		v, err := l.chooseVersion(Store{Name: Official}, []records.StoredVersion{{Record: p.Versions[0].Record}})
		return Function{Package: p, Record: v.Record}, err
	}
	c, err := l.home(ctx)
	if err != nil {
		return Function{}, err
	}
	versions, err := l.versions(ctx, c, false)
	if err != nil {
		return Function{}, err
	}
	v, err := l.chooseOrAsk(ctx, c, &versions)
	if err != nil {
		return Function{}, err
	}
	return Function{Package: l.packOf(c, versions), Record: v.Record, Yanked: v.Yanked, Signer: v.Signer}, nil
}

// A Query says which functions are wanted.
type Query struct {
	Words    []string // all of them, in name, title, categories, tags or description
	Category string   // "" for all
	Platform string   // such as linux/arm64; "" for all
}

// Functions returns the functions that can be used by name and fit a query: those
// that are part of fnb and those of the stores; by name, or the best first where
// there are words. Stores are asked where the cache is too old.
func (s *Finder) Functions(ctx context.Context, q Query) ([]Match, []string, error) {
	notes, err := s.freshen(ctx)
	if err != nil {
		return nil, notes, err
	}
	platform := ""
	if q.Platform != "" {
		p, err := schema.ParsePlatform(q.Platform)
		if err != nil {
			return nil, notes, err
		}
		platform = p.String()
	}
	var all []Entry
	add := func(e Entry) {
		if q.Category != "" && !slices.Contains(e.Categories, q.Category) {
			return
		}
		if platform == "" || len(e.Platforms) == 0 || slices.Contains(e.Platforms, platform) {
			all = append(all, e)
		}
	}
	official, err := officialFunctions()
	if err != nil {
		return nil, notes, err
	}
	for _, p := range official {
		m := records.Summarize(records.StoredPackage{Name: p.Name, About: p.About, Versions: []records.StoredVersion{{Record: p.Versions[0].Record}}})
		add(summaryEntry(m, schema.KindFunction, Official))
	}
	if err := s.listStores(schema.KindFunction, add); err != nil {
		return nil, notes, err
	}
	found, more := rank(all, q.Words)
	return found, append(notes, more...), ctx.Err()
}
