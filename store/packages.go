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
	"fnb/templates"
)

// A Package is a template or function as a store has it.
type Package struct {
	Kind     string           `json:"kind"`  // [schema.KindTemplate] or [schema.KindFunction]
	Name     string           `json:"name"`  // namespace/name; without namespace where it is part of fnb
	Store    string           `json:"store"` // its name; "" for that of a folder
	About    schema.Package   `json:"about"`
	Versions []PackageVersion `json:"versions"` // ascending, never none
}

// A PackageVersion is a record, and whether it was withdrawn. In OpenFaaS's lists
// versions have no number, and images no digest.
type PackageVersion struct {
	schema.Record
	Yanked *schema.Yank `json:"yanked,omitempty"`
}

// Newest is the version that speaks for the package: the highest stable one that is
// not withdrawn, or else the highest.
func (p Package) Newest() PackageVersion {
	return newest(p.Versions, func(v PackageVersion) bool { return v.Yanked == nil && isStable(v.Version) })
}

// exported is the package as other rooms see it.
func (p pack) exported(store string) Package {
	out := Package{Kind: p.kind(), Name: p.name, Store: store, About: p.about}
	for _, v := range p.versions {
		out.Versions = append(out.Versions, PackageVersion{Record: v.Record, Yanked: v.Yanked})
	}
	return out
}

// Package returns what a store has of a template or function: ref is namespace/name,
// name for a function that is part of fnb, or store:namespace/name; a range in it
// does not count. A package that is deprecated is in the notes as well.
func (s *Store) Package(ctx context.Context, kind, ref string) (Package, []string, error) {
	l, err := s.lookup(kind, ref, Where{})
	if err != nil {
		return Package{}, nil, err
	}
	p, err := l.pack(ctx)
	return p, l.notes, err
}

// Fetch returns the files of one version of a template, which have to be those that
// its record tells.
func (s *Store) Fetch(ctx context.Context, rec schema.Record) (*templates.Template, error) {
	t, err := s.within(s.reachOfPackage(rec.Name)).fetchSource(ctx, rec.Source.Git)
	if err != nil {
		return nil, err
	}
	if t.Checksum != rec.Checksum {
		return nil, &MismatchError{Reference: rec.Name + "@" + rec.Version, Want: rec.Checksum, Got: t.Checksum}
	}
	return t, nil
}

// lookup begins to look for a package by its name.
func (s *Store) lookup(kind, ref string, where Where) (*lookup, error) {
	parsed, err := schema.ParseTemplateRef(ref)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, plain.Short(ref), err)
	}
	if parsed.Kind != schema.RefName {
		return nil, &NotFoundError{Kind: kind, Name: ref, Err: errors.New("it is not the name of one in a store")}
	}
	return &lookup{store: s, kind: kind, ref: ref, parsed: parsed, where: where}, nil
}

// pack finds the package that the reference names.
func (l *lookup) pack(ctx context.Context) (Package, error) {
	if l.kind == schema.KindFunction && l.parsed.Namespace == "" && (l.parsed.Store == "" || l.parsed.Store == Official) {
		return l.officialFunction()
	}
	c, err := l.home(ctx)
	if err != nil {
		return Package{}, err
	}
	versions, err := l.versions(ctx, c, false)
	if err != nil {
		return Package{}, err
	}
	return l.packOf(c, versions), nil
}

func (l *lookup) packOf(c Configured, versions []indexed) Package {
	p := pack{name: versions[0].Name, versions: versions}
	v := newestOf(versions)
	p.about = schema.Package{V: schema.RecordVersion, Description: v.Description, Deprecated: v.Deprecated}
	if x, ok := l.store.cache.openIndex(c.URL); ok {
		if m, ok := x.find(l.kind, p.name); ok {
			p.about.Tags = strings.Fields(m.Tags)
			p.about.Description = cmp.Or(m.Description, p.about.Description)
		}
	}
	return p.exported(c.Name)
}

// A Function is one version of a function.
type Function struct {
	Package Package       `json:"package"` // all there is of it
	Record  schema.Record `json:"record"`  // of the version
	Yanked  *schema.Yank  `json:"yanked,omitempty"`
}

// Function finds the version of a function that ref means, as [Store.Resolve] finds
// that of a template: among the versions that are for where.Platforms, and never a
// withdrawn one. The notes say what was passed over, and why.
func (s *Store) Function(ctx context.Context, ref string, where Where) (Function, []string, error) {
	l, err := s.lookup(schema.KindFunction, ref, where)
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
		v, err := l.choose(Configured{Name: Official}, []indexed{{Record: p.Versions[0].Record}})
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
	return Function{Package: l.packOf(c, versions), Record: v.Record, Yanked: v.Yanked}, nil
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
func (s *Store) Functions(ctx context.Context, q Query) ([]Match, []string, error) {
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
		m := summarize(pack{name: p.Name, about: p.About, versions: []indexed{{Record: p.Versions[0].Record}}})
		add(m.entry(schema.KindFunction, Official))
	}
	if err := s.listStores(schema.KindFunction, add); err != nil {
		return nil, notes, err
	}
	found, more := rank(all, q.Words)
	return found, append(notes, more...), ctx.Err()
}
