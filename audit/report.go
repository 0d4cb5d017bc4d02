package audit

import (
	"cmp"
	"slices"
	"strings"

	"fnb/audit/osv"
	"fnb/sbom"
)

// Kinds of findings.
const (
	Vulnerability = "vulnerability"   // an advisory is about a package
	EndOfLife     = "end-of-life"     // nobody mends it any more
	Withdrawn     = "yanked-template" // the template's version was yanked
	OldWatchdog   = "old-watchdog"    // fnb has a newer one
	Builder       = "builder"         // the builder has known holes
)

// A Subject is an image that is looked at.
type Subject struct {
	Name     string // of the function, or the image's reference
	Image    string // its reference; "" is none
	Document sbom.Document
	Lists    []string // files that have the function's packages, for people; the first is where a finding is
	Yanked   *Yanked  // nil unless its template's version was withdrawn
}

// A Runtime is what runs a function.
type Runtime struct{ Name, Version string }

// A Yanked is a version of a template that was withdrawn.
type Yanked struct{ Name, Version, Reason, Severity, Use string }

// A Finding is one thing that is wrong, with all it is wrong with. Texts are from elsewhere.
type Finding struct {
	Kind       string       `json:"kind"`
	ID         string       `json:"id"`
	Aliases    []string     `json:"aliases,omitempty"`
	Ecosystem  string       `json:"ecosystem,omitempty"`
	Package    string       `json:"package"`
	Version    string       `json:"version,omitempty"`
	Severity   osv.Severity `json:"severity"`
	Summary    string       `json:"summary,omitempty"`
	Fixed      string       `json:"fixed,omitempty"` // the lowest version without it
	Functions  []string     `json:"functions"`       // or references of images, sorted
	Places     []string     `json:"places,omitempty"`
	Mend       string       `json:"mend,omitempty"` // what to type or to change
	Suppressed *Suppressed  `json:"suppressed,omitempty"`
	PURL       string       `json:"purl,omitempty"`
}

// A Suppressed says why a finding does not count.
type Suppressed struct {
	Status        string `json:"status"` // "not_affected" or "fixed"
	Justification string `json:"justification,omitempty"`
	Statement     string `json:"statement,omitempty"`
	File          string `json:"file"`
}

// names are all by which advisories know it.
func (f *Finding) names() []string { return append([]string{f.ID}, f.Aliases...) }

// Counts reports whether a finding is at least as bad as a level. One whose severity nobody
// says is taken for medium.
func (f *Finding) Counts(least osv.Level) bool {
	level := f.Severity.Level
	if level == osv.Unknown {
		level = osv.Medium
	}
	return f.Suppressed == nil && level >= least
}

// A Report is what an audit found.
type Report struct {
	Findings []Finding    `json:"findings"` // the worst first
	Subjects int          `json:"subjects"`
	Packages int          `json:"packages"` // different ones
	Database []osv.Source `json:"database"`
	Missing  []string     `json:"missing,omitempty"` // ecosystems that the database has nothing about
	Notes    []string     `json:"notes,omitempty"`
}

// Worst is how many findings are at least as bad as a level.
func (r *Report) Worst(least osv.Level) int {
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Counts(least) {
			n++
		}
	}
	return n
}

func sortFindings(all []Finding) {
	kinds := []string{Withdrawn, EndOfLife, Builder, OldWatchdog, Vulnerability}
	slices.SortFunc(all, func(a, b Finding) int {
		quiet := func(f Finding) int {
			if f.Suppressed != nil {
				return 1
			}
			return 0
		}
		return cmp.Or(
			cmp.Compare(quiet(a), quiet(b)),
			cmp.Compare(b.Severity.Level, a.Severity.Level), cmp.Compare(b.Severity.Score, a.Severity.Score),
			cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)),
			strings.Compare(a.Package, b.Package), strings.Compare(a.Version, b.Version), strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.ID, b.ID),
		)
	})
}
