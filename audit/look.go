package audit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"fnb/audit/osv"
	"fnb/sbom"
)

// A Question is what an audit is asked.
type Question struct {
	Subjects []Subject
	Database *osv.Database // nil looks for no advisories
	VEX      []VEX
	Now      time.Time
	Watchdog []string // digests of the layers of fnb's own watchdog; none says nothing about watchdogs
	Bases    []string // references of base images that fnb.lock pins
	Builders []BuilderVersion
}

// maxNames is how many functions a finding names; more are counted.
const maxNames = 1000

// used is a version of a package, and who has it.
type used struct {
	ask      osv.Package
	pkg      sbom.Package
	subjects []int
}

// Look finds what is wrong with subjects. Ecosystems that the database has nothing about are
// in the report's Missing; whoever relies on it looks there.
func Look(ctx context.Context, q Question) (*Report, error) {
	r := &Report{Subjects: len(q.Subjects), Findings: []Finding{}, Database: []osv.Source{}}
	all, unknown := packages(q.Subjects)
	r.Packages = len(all)
	if unknown > 0 {
		r.Notes = append(r.Notes, unasked(unknown))
	}
	if q.Database != nil {
		if err := advisories(ctx, q, r, all); err != nil {
			return nil, err
		}
		r.Database, r.Notes = append(r.Database, q.Database.Sources()...), append(r.Notes, q.Database.Notes()...)
	}
	r.Findings = append(r.Findings, others(q)...)
	notes := suppress(r.Findings, q)
	r.Notes = append(r.Notes, notes...)
	for i := range r.Findings {
		mend(&r.Findings[i], q.Subjects)
	}
	sortFindings(r.Findings)
	return r, nil
}

// packages are those of all subjects, each once, sorted; unknown is how many are of no
// ecosystem that advisories know, or have no version.
func packages(subjects []Subject) (all []*used, unknown int) {
	at := map[osv.Package]*used{}
	for i := range subjects {
		for _, p := range subjects[i].Document.Packages {
			ask := Asked(p)
			if ask.Ecosystem == "" || ask.Version == "" || ask.Ecosystem == sbom.JSR {
				unknown++
				continue
			}
			u := at[ask]
			if u == nil {
				u = &used{ask: ask, pkg: p}
				at[ask] = u
				all = append(all, u)
			}
			if n := len(u.subjects); n == 0 || u.subjects[n-1] != i {
				u.subjects = append(u.subjects, i)
			}
		}
	}
	slices.SortFunc(all, func(a, b *used) int {
		if c := strings.Compare(a.ask.Ecosystem, b.ask.Ecosystem); c != 0 {
			return c
		}
		if c := strings.Compare(a.ask.Name, b.ask.Name); c != 0 {
			return c
		}
		return strings.Compare(a.ask.Version, b.ask.Version)
	})
	return all, unknown
}

// Asked is a package as advisories name it: a distribution's by its source.
func Asked(p sbom.Package) osv.Package {
	out := osv.Package{Ecosystem: p.Ecosystem, Name: p.Name, Version: p.Version}
	if p.Source.Name != "" {
		out.Name = p.Source.Name
		if p.Source.Version != "" {
			out.Version = p.Source.Version
		}
	}
	return out
}

// advisories asks the database about each package.
func advisories(ctx context.Context, q Question, r *Report, all []*used) error {
	var asks []osv.Package
	for _, u := range all {
		asks = append(asks, u.ask)
	}
	var err error
	if r.Missing, err = q.Database.Missing(asks); err != nil {
		return err
	}
	for _, u := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		found, err := q.Database.Find(ctx, u.ask)
		if _, ok := errors.AsType[*osv.MissingError](err); ok {
			continue // it is in Missing
		}
		if err != nil {
			return err
		}
		for _, f := range merge(found, u.ask.Ecosystem) {
			f.Kind, f.Ecosystem, f.Package, f.Version, f.PURL = Vulnerability, u.ask.Ecosystem, u.ask.Name, u.ask.Version, u.pkg.PURL
			for _, i := range u.subjects {
				s := &q.Subjects[i]
				if len(f.Functions) < maxNames && !slices.Contains(f.Functions, s.Name) {
					f.Functions = append(f.Functions, s.Name)
				}
			}
			slices.Sort(f.Functions)
			f.Places = places(u, q.Subjects)
			r.Findings = append(r.Findings, f)
		}
	}
	return nil
}

// places are files of the project that say that a package is there; of an image, none.
func places(u *used, subjects []Subject) []string {
	var out []string
	for _, i := range u.subjects {
		for _, l := range subjects[i].Lists {
			if len(out) < 20 && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// merge makes one finding of advisories that are about the same hole: those that share an ID
// or an alias.
func merge(found []osv.Advisory, ecosystem string) []Finding {
	group := make([]int, len(found))
	names := map[string]int{}
	find := func(i int) int {
		for group[i] != i {
			group[i] = group[group[i]] // a long way is half as long the next time
			i = group[i]
		}
		return i
	}
	for i, a := range found {
		group[i] = i
		for _, n := range append([]string{a.ID}, a.Aliases...) {
			if j, ok := names[n]; ok {
				group[find(i)] = find(j)
			} else {
				names[n] = i
			}
		}
	}
	byGroup := map[int]*Finding{}
	var order []int
	for i, a := range found {
		root := find(i)
		f := byGroup[root]
		if f == nil {
			f = &Finding{}
			byGroup[root] = f
			order = append(order, root)
		}
		f.Aliases = append(append(f.Aliases, a.ID), a.Aliases...)
		f.Severity = f.Severity.Worse(a.Severity)
		if f.Summary == "" {
			f.Summary = a.Summary
		}
		if f.Fixed == "" || a.Fixed != "" && osv.Order(ecosystem, a.Fixed, f.Fixed) > 0 {
			f.Fixed = a.Fixed // databases may differ: the version that all call mended
		}
	}
	var out []Finding
	for _, root := range order {
		f := byGroup[root]
		slices.SortFunc(f.Aliases, byRank)
		f.Aliases = slices.Compact(f.Aliases)
		f.ID, f.Aliases = f.Aliases[0], f.Aliases[1:]
		out = append(out, *f)
	}
	return out
}

// byRank orders names of a hole: the one that most people know goes first.
func byRank(a, b string) int {
	rank := func(id string) int {
		for i, prefix := range []string{"MAL-", "CVE-", "GHSA-", "DSA-", "DLA-"} {
			if strings.HasPrefix(id, prefix) {
				return i
			}
		}
		return 9
	}
	if c := rank(a) - rank(b); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}
