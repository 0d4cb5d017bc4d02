package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"fnb/audit"
	"fnb/audit/osv"
	"fnb/internal/plain"
)

// A findingsError says that an audit found what --fail-on does not allow.
type findingsError struct {
	n     int
	least string
}

func (e *findingsError) Error() string {
	return plain.Count(e.n, "finding is", "findings are") + " of severity " + e.least + " or worse"
}

// stale is how old advisories may be until that is pointed out.
const stale = 30 * 24 * time.Hour

func (g *globals) printAudit(r *audit.Report) error {
	notes := r.Notes
	for _, s := range r.Database {
		if age := time.Since(s.Newest); !s.Newest.IsZero() && age > stale {
			notes = append(notes, fmt.Sprintf("the newest of the advisories for %s is of %s; fetch newer ones with: fnb audit --update-db", s.Ecosystem, s.Newest.Format(time.DateOnly)))
		}
	}
	g.tellMore(notes)
	if g.json {
		return g.printIndented(r)
	}
	if !g.quiet {
		fmt.Fprintf(g.err, "fnb: %s in %s of %s\n", plain.Count(len(r.Findings), "finding", "findings"), plain.Count(r.Packages, "package", "packages"), plain.Count(r.Subjects, "image", "images"))
	}
	return errors.Join(g.printFound(r), g.printMending(r))
}

func (g *globals) printFound(r *audit.Report) error {
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	rows := 0
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Suppressed != nil {
			continue
		}
		if rows++; rows == 1 {
			fmt.Fprintln(tw, "SEVERITY\tFINDING\tIN\tFIXED\tFUNCTIONS")
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", f.Severity.Level, column(f.ID), column(strings.TrimSpace(f.Package+" "+f.Version)), column(orDash(f.Fixed)), column(orDash(shortList(f.Functions))))
	}
	err := tw.Flush()
	for i := range r.Findings {
		f := &r.Findings[i]
		if s := f.Suppressed; s != nil {
			why := strings.Join(strings.Fields(s.Status+" "+s.Justification+" "+s.Statement), " ")
			_, e := fmt.Fprintln(g.out, plain.Line("not counted: "+f.ID+" in "+f.Package+" "+f.Version+": "+why+" ("+s.File+")"))
			err = errors.Join(err, e)
		}
	}
	return err
}

// printMending prints what to type, each once, with what it is about.
func (g *globals) printMending(r *audit.Report) error {
	about := map[string][]string{}
	var order []string
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Suppressed != nil || f.Mend == "" {
			continue
		}
		if about[f.Mend] == nil {
			order = append(order, f.Mend)
		}
		about[f.Mend] = append(about[f.Mend], f.ID)
	}
	if len(order) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(g.out, "\nto fix them:")
	for _, m := range order {
		_, e := fmt.Fprintln(g.out, plain.Line("  "+m+" ("+shortList(about[m])+")"))
		err = errors.Join(err, e)
	}
	return err
}

// shortList is a list of names with commas, of a long one its beginning.
func shortList(names []string) string {
	if len(names) > 4 {
		return strings.Join(names[:3], ", ") + fmt.Sprintf(" and %d more", len(names)-3)
	}
	return strings.Join(names, ", ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// auditHints say what to do about an audit that is not complete.
func auditHints(err error) []string {
	if m, ok := errors.AsType[*osv.MissingError](err); ok {
		return []string{"fetch them: fnb audit --update-db --db " + plain.ShellWord(m.Dir), "or name the folder of a database: --db DIR"}
	}
	if is[*osv.BrokenError](err) {
		return []string{"fetch it again: fnb audit --update-db"}
	}
	return nil
}
