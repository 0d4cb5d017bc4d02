package effects

import (
	"fmt"
	"slices"
	"strings"

	"fnb/audit"
	"fnb/builder/probe"
	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/pipeline/pins"
	"fnb/sbom"
)

// Bounds of what is told, so that every host takes it: GitHub takes 65,536 characters.
const (
	maxRows = 60
	maxText = 60_000 // bytes
)

// Title says what moves, in a line.
func (c *Change) Title() string {
	var parts []string
	if n := len(c.Pins); n > 0 {
		parts = append(parts, plain.Count(n, "pin", "pins"))
	}
	if n := len(c.locked()); n > 0 {
		parts = append(parts, plain.Count(n, "lock of packages", "locks of packages"))
	}
	if len(parts) == 0 {
		return "Move nothing"
	}
	return "Move " + strings.Join(parts, " and ")
}

// Doubts are why a person must look at it before it is merged; none is that nothing speaks against it.
func (c *Change) Doubts() (out []string) {
	conflicts := 0
	for _, f := range c.Files {
		if f.Conflict() {
			conflicts++
		}
	}
	if conflicts > 0 {
		out = append(out, plain.Count(conflicts, "file has", "files have")+" a conflict")
	}
	failed := 0
	for _, r := range c.Tests {
		if !r.OK {
			failed++
		}
	}
	if failed > 0 {
		out = append(out, "the tests of "+plain.Count(failed, "function", "functions")+" fail")
	}
	for _, f := range c.Functions {
		if f.Failed != nil {
			out = append(out, plain.Markdown(f.Name)+" cannot be built")
		}
	}
	if c.Unlocked != nil {
		out = append(out, "locks of packages cannot be made")
	}
	return out
}

// Markdown tells the change: its title, an empty line, and what it is and does. It fits a commit as well as the text of a
// proposed change. What is from elsewhere is shown as code.
func (c *Change) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", c.Title())
	if doubts := c.Doubts(); len(doubts) > 0 {
		fmt.Fprintf(&b, "**Do not merge this as it is**: %s.\n\n", strings.Join(doubts, "; "))
	}
	b.WriteString("`fnb update` has moved to what is newest.\n")
	c.tellPins(&b)
	c.tellFiles(&b)
	c.tellLocks(&b)
	c.tellTests(&b)
	c.tellImages(&b)
	c.tellMoves(&b)
	c.tellHoles(&b)
	return bounded(b.String())
}

// bounded is a text that is not too long for a host, whole lines of it.
func bounded(text string) string {
	if len(text) <= maxText {
		return text
	}
	return text[:strings.LastIndexByte(text[:maxText], '\n')+1] + "\n… and more, which is left out.\n"
}

// table writes a table, of many rows the first.
func table(b *strings.Builder, title string, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n| %s |\n|%s\n", title, strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, row := range rows[:min(len(rows), maxRows)] {
		fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | "))
	}
	if n := len(rows) - maxRows; n > 0 {
		fmt.Fprintf(b, "\n… and %d more.\n", n)
	}
}

func (c *Change) tellPins(b *strings.Builder) {
	var rows [][]string
	for _, p := range c.Pins {
		from, to := p.Locked.String(), p.Newest.String()
		if from == to && p.Locked != nil && p.Newest != nil {
			from, to = pins.ShortDigest(p.Locked.Digest), pins.ShortDigest(p.Newest.Digest) // the version has stayed
		}
		rows = append(rows, []string{string(p.Kind), plain.Markdown(p.Name), plain.Markdown(from), plain.Markdown(to)})
	}
	table(b, "Pins", []string{"kind", "name", "from", "to"}, rows)
}

func (c *Change) tellFiles(b *strings.Builder) {
	var rows [][]string
	for _, f := range c.Files {
		what := plain.Markdown(f.Action)
		if f.Conflict() {
			what = "**conflict**: choose between the marks"
		}
		if f.Beside != "" {
			what += "; the template's is in " + plain.Markdown(f.Beside)
		}
		rows = append(rows, []string{plain.Markdown(f.Path), what})
	}
	table(b, "Starters that were merged", []string{"file", "what became of it"}, rows)
}

// locked are the files of locks that are others now.
func (c *Change) locked() (rows [][]string) {
	for _, l := range c.Locks {
		if l.Changed {
			rows = append(rows, []string{plain.Markdown(l.Manager), plain.Markdown(l.File), names(l.Functions)})
		}
	}
	return rows
}

func (c *Change) tellLocks(b *strings.Builder) {
	table(b, "Locks of packages", []string{"manager", "file", "functions"}, c.locked())
	if c.Unlocked != nil {
		fmt.Fprintf(b, "\n**Not all could be made**: %s\n", plain.Markdown(plain.Short(c.Unlocked.Error())))
	}
}

func (c *Change) tellTests(b *strings.Builder) {
	var rows [][]string
	for _, r := range c.Tests {
		rows = append(rows, []string{plain.Markdown(r.Title()), tested(r)})
	}
	table(b, "Tests", []string{"function", "result"}, rows)
}

// tested says how many checks have passed, and which have failed.
func tested(r pipeline.TestResult) string {
	passed := 0
	var failed []string
	for _, check := range r.Checks {
		switch check.Status {
		case probe.Passed:
			passed++
		case probe.Failed:
			first, _, _ := strings.Cut(check.Detail, "\n")
			failed = append(failed, "**"+plain.Markdown(check.Title())+" failed**: "+plain.Markdown(plain.Short(first)))
		}
	}
	return strings.Join(append([]string{plain.Count(passed, "check", "checks") + " passed"}, failed...), "; ")
}

func (c *Change) tellImages(b *strings.Builder) {
	var rows [][]string
	for _, f := range c.Functions {
		rows = append(rows, []string{plain.Markdown(f.Name), weight(f.Before, f.Lost), weight(f.After, f.Failed), difference(f), c.found(f)})
	}
	table(b, "Images", []string{"function", "before", "after", "difference", "findings"}, rows)
}

func weight(img *Image, failed error) string {
	switch {
	case failed != nil:
		return "cannot be made: " + plain.Markdown(plain.Short(failed.Error()))
	case img == nil:
		return "none"
	}
	return plain.Size(img.Size) + ", " + plain.Count(len(img.Packages), "package", "packages")
}

func difference(f Function) string {
	if f.Before == nil || f.After == nil {
		return "not known"
	}
	sign, n := "+", f.After.Size-f.Before.Size
	if n < 0 {
		sign, n = "−", -n
	}
	return sign + plain.Size(n) + ", " + plain.Count(len(sbom.Moves(f.Before.Packages, f.After.Packages)), "package differs", "packages differ")
}

// found is how many findings a function had, and has.
func (c *Change) found(f Function) string {
	if !c.Holes.Looked || f.Before == nil || f.After == nil {
		return "not known"
	}
	of := func(all []audit.Finding) (n int) {
		for _, finding := range all {
			if slices.Contains(finding.Functions, f.Name) {
				n++
			}
		}
		return n
	}
	h := &c.Holes
	return fmt.Sprintf("%d → %d", of(h.Gone)+of(h.Stay), of(h.New)+of(h.Stay))
}

func (c *Change) tellMoves(b *strings.Builder) {
	var rows [][]string
	for _, m := range c.Moves() {
		from, to := plain.Markdown(m.From), plain.Markdown(m.To)
		if m.From == "" {
			from = "new"
		}
		if m.To == "" {
			to = "gone"
		}
		rows = append(rows, []string{plain.Markdown(strings.TrimSpace(m.Ecosystem + " " + m.Name)), from, to, names(m.Functions)})
	}
	table(b, "Packages", []string{"package", "from", "to", "functions"}, rows)
}

func (c *Change) tellHoles(b *strings.Builder) {
	var rows [][]string
	for _, list := range []struct {
		what string
		all  []audit.Finding
	}{{"**new**", c.Holes.New}, {"gone", c.Holes.Gone}, {"stays", c.Holes.Stay}} {
		for _, f := range list.all {
			rows = append(rows, []string{list.what, f.Severity.Level.String(), plain.Markdown(f.ID), plain.Markdown(strings.TrimSpace(f.Package + " " + f.Version)), names(f.Functions)})
		}
	}
	table(b, "Findings", []string{"", "severity", "finding", "in", "functions"}, rows)
	h := &c.Holes
	if h.Failed != nil {
		what := "Nobody has looked for known holes"
		if h.Looked {
			what = "The newest advisories could not be fetched"
		}
		fmt.Fprintf(b, "\n%s: %s\n", what, plain.Markdown(plain.Short(h.Failed.Error())))
	}
	switch {
	case len(h.Missing) > 0:
		fmt.Fprintf(b, "\nThere are no advisories here for %s.\n", names(h.Missing))
	case h.Looked && len(rows) == 0:
		b.WriteString("\nNo known holes, before and after.\n")
	}
}

// names are a list with commas, of a long one its beginning.
func names(all []string) string {
	var out []string
	for _, name := range all[:min(len(all), 4)] {
		out = append(out, plain.Markdown(name))
	}
	if n := len(all) - len(out); n > 0 {
		out = append(out, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, ", ")
}
