package osv

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/osv-scalibr/semantic"
)

// A Package is what a database is asked about.
type Package struct {
	Ecosystem string // as OSV calls it, with a distribution's release: "PyPI", "Debian:12"
	Name      string // as its ecosystem spells it; of a distribution's package, its source package
	Version   string
}

// An Advisory is what a database says about a package.
type Advisory struct {
	ID       string
	Aliases  []string // other names of the same hole, of databases and of those that a distribution takes it from
	Summary  string   // text from elsewhere; "" where it has none
	Severity Severity
	Fixed    string // the lowest version above the package's that does not have it; "" is none
	Modified time.Time
}

// maxVersion is how long a version may be that is compared.
const maxVersion = 256

// base is an ecosystem without the release of a distribution.
func base(ecosystem string) string {
	name, _, _ := strings.Cut(ecosystem, ":")
	return name
}

// named as its database has it.
func (p Package) normal() Package {
	switch base(p.Ecosystem) {
	case "PyPI":
		p.Name = normalPython(p.Name)
	case "Go":
		p.Version = strings.TrimPrefix(strings.TrimPrefix(p.Version, "go"), "v")
	}
	return p
}

// normalPython is the name that an index of Python packages has for one.
func normalPython(name string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(name) {
		if r == '-' || r == '_' || r == '.' {
			if !dash {
				b.WriteByte('-')
			}
			dash = true
			continue
		}
		dash = false
		b.WriteRune(r)
	}
	return b.String()
}

// concerns reports whether what a record affects is the package, in whatever version.
func (a *affected) concerns(p Package) bool {
	if a.Package.Ecosystem != p.Ecosystem && a.Package.Ecosystem != base(p.Ecosystem) {
		return false
	}
	return (Package{Ecosystem: a.Package.Ecosystem, Name: a.Package.Name}).normal().Name == p.Name
}

// match reports whether a record is about this version of the package, and what it says
// then; notes are what could not be compared.
func (r *record) match(p Package) (out Advisory, is bool, notes []string) {
	if r.Withdrawn != "" {
		return Advisory{}, false, nil
	}
	events := 0
	for i := range r.Affected {
		a := &r.Affected[i]
		if !a.concerns(p) {
			continue
		}
		for _, s := range a.Ranges {
			events += len(s.Events)
		}
		if events > maxEvents {
			return Advisory{}, false, []string{fmt.Sprintf("%s: it has more than %d events of %s, which are not compared", r.ID, maxEvents, p.Name)}
		}
		c, err := newComparer(p)
		if err != nil && len(a.Ranges) > 0 {
			notes = append(notes, fmt.Sprintf("%s: version %q of %s cannot be compared: %v", r.ID, p.Version, p.Name, err))
		}
		hit := slices.ContainsFunc(a.Versions, func(v string) bool { return sameVersion(v, p) })
		fixed := ""
		for _, s := range a.Ranges {
			in, next, err := c.within(s)
			if err != nil {
				notes = append(notes, fmt.Sprintf("%s: a range of %s cannot be compared: %v", r.ID, p.Name, err))
				continue
			}
			hit = hit || in
			if next != "" && (fixed == "" || c.order(next, fixed) < 0) {
				fixed = next
			}
		}
		if !hit {
			continue
		}
		s := severityOf(r, a)
		if !is {
			is = true
			out = Advisory{ID: r.ID, Aliases: r.others(), Summary: r.Summary, Severity: s, Fixed: fixed, Modified: r.Modified}
			continue
		}
		out.Severity = out.Severity.Worse(s)
		if fixed != "" && (out.Fixed == "" || c.order(fixed, out.Fixed) < 0) {
			out.Fixed = fixed
		}
	}
	return out, is, notes
}

// others are the names that a record gives for the same hole. Advisories of distributions
// name those of the software as "upstream"; before that field was there, as "related".
func (r *record) others() []string {
	out := append(slices.Clone(r.Aliases), r.Upstream...)
	if len(r.Upstream) == 0 && (strings.HasPrefix(r.ID, "DSA-") || strings.HasPrefix(r.ID, "DLA-") || strings.HasPrefix(r.ID, "USN-")) {
		out = append(out, r.Related...)
	}
	out = slices.DeleteFunc(out, func(id string) bool { return checkID(id) != nil })
	slices.Sort(out)
	return slices.Compact(out)
}

func sameVersion(listed string, p Package) bool {
	if listed == p.Version {
		return true
	}
	return base(p.Ecosystem) == "Go" && strings.TrimPrefix(listed, "v") == p.Version
}

// A comparer compares versions by the rules of an ecosystem.
type comparer struct {
	ecosystem string
	version   semantic.Version // of the package; nil where it cannot be read
}

func newComparer(p Package) (*comparer, error) {
	c := &comparer{ecosystem: base(p.Ecosystem)}
	v, err := c.parse(p.Version)
	if err != nil {
		return c, err
	}
	c.version = v
	return c, nil
}

func (c *comparer) parse(version string) (semantic.Version, error) {
	if len(version) > maxVersion {
		return nil, fmt.Errorf("a version of %d characters, of at most %d", len(version), maxVersion)
	}
	return semantic.Parse(version, c.ecosystem)
}

// against orders the package's version before (-1), with or after another one.
func (c *comparer) against(version string) (int, error) {
	if version == "0" { // OSV's word for what is before all versions
		return 1, nil
	}
	if len(version) > maxVersion {
		return 0, fmt.Errorf("a version of %d characters, of at most %d", len(version), maxVersion)
	}
	return c.version.CompareStr(version)
}

// order orders two versions; those that cannot be compared are in the order of their letters.
func (c *comparer) order(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "0":
		return -1
	case b == "0":
		return 1
	}
	if v, err := c.parse(a); err == nil && len(b) <= maxVersion {
		if o, err := v.CompareStr(b); err == nil {
			return o
		}
	}
	return cmp.Compare(a, b)
}

// within reports whether the package's version is in a range of versions, and the lowest
// version above it that the range calls fixed. Ranges of commits are not looked at.
func (c *comparer) within(s span) (in bool, next string, err error) {
	if c.version == nil || s.Type != "SEMVER" && s.Type != "ECOSYSTEM" {
		return false, "", nil
	}
	events := slices.Clone(s.Events)
	slices.SortStableFunc(events, func(a, b event) int { return c.order(a.version(), b.version()) })
	limited, before := false, false
	for _, e := range events {
		if e.version() == "" {
			continue
		}
		o := -1 // before "*", as before everything
		if e.Limit != "*" {
			if o, err = c.against(e.version()); err != nil {
				return false, "", err
			}
		}
		switch {
		case e.Introduced != "":
			in = in || o >= 0
		case e.Fixed != "" && o >= 0:
			in = false
		case e.Fixed != "" && next == "":
			next = e.Fixed
		case e.LastAffected != "" && o > 0:
			in = false
		case e.Limit != "":
			limited, before = true, before || o < 0
		}
	}
	return in && (!limited || before), next, nil
}

func (e event) version() string { return cmp.Or(e.Introduced, e.Fixed, e.LastAffected, e.Limit) }

// Order compares two versions by the rules of an ecosystem: -1 is a before b.
func Order(ecosystem, a, b string) int { return (&comparer{ecosystem: base(ecosystem)}).order(a, b) }
