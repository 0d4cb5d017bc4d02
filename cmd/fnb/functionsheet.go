package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"fnb/builder/probe"
	"fnb/internal/plain"
	"fnb/schema"
	"fnb/store"
)

// A sheet is text in columns, which is cleaned for the terminal.
type sheet struct {
	text strings.Builder
	tw   *tabwriter.Writer
}

func newSheet() *sheet {
	s := &sheet{}
	s.tw = tabwriter.NewWriter(&s.text, 0, 8, 2, ' ', 0)
	return s
}

func (s *sheet) row(k, v string) {
	if v != "" {
		fmt.Fprintf(s.tw, "%s\t%s\n", column(k), column(v))
	}
}

func (s *sheet) head(title string) { fmt.Fprintf(s.tw, "\n%s\n", title) }

func (s *sheet) settings(title string, all map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(all)) {
		s.row("  "+title+" "+k, all[k])
	}
}

// describeFunction writes what a record says.
func describeFunction(f store.Function) string {
	s, rec := newSheet(), f.Record
	s.row("Function", strings.TrimSpace(rec.Name+" "+rec.Version))
	s.row("Title", rec.Title)
	s.row("Description", rec.Description)
	s.row("Language", rec.Language)
	s.row("Categories", strings.Join(rec.Categories, ", "))
	s.row("Author", rec.Author)
	s.row("License", rec.License)
	s.row("Icon", describeIcon(rec.Icon))
	s.row("Needs fnb", rec.FNB)
	s.row("From", f.Package.Store)
	if f.Signer != nil {
		s.row("Signed by", f.Signer.String())
	}
	if rec.Published != nil {
		s.row("Published", rec.Published.UTC().Format("2006-01-02"))
	}
	if d := f.Package.About.Deprecated; d != nil {
		s.row("Deprecated", strings.TrimSuffix(d.Reason+"; use "+d.Replacement, "; use "))
	}
	if b := rec.Built; b != nil {
		s.row("Template", strings.TrimSpace(b.Template+" "+b.Checksum))
		if b.Git != nil {
			s.row("Source", strings.TrimSpace(b.Git.URL+" "+b.Git.Path))
			s.row("Commit", strings.TrimSpace(b.Git.Commit+" "+b.Git.Ref))
		}
	}
	describeRecordImage(s, rec.Image)
	describeRun(s, rec.Run)
	if len(rec.Examples) > 0 {
		s.head("Examples")
	}
	for _, e := range rec.Examples {
		s.row("  "+probe.Describe(e), describeAnswer(e))
	}
	if rec.Try != nil {
		s.head("Given for the examples")
		s.settings("variable", rec.Try.Environment)
		s.settings("secret", rec.Try.Secrets)
	}
	if rec.Version != "" && f.Package.Store != store.Official {
		s.head("Versions")
	}
	for _, v := range slices.Backward(f.Package.Versions) {
		if rec.Version == "" || f.Package.Store == store.Official {
			break
		}
		state := strings.Join(v.RunsOn(), " ")
		if v.Yanked != nil {
			state += "  withdrawn: " + v.Yanked.Reason
		}
		if v.Refused != "" {
			state += "  refused: " + v.Refused
		}
		s.row("  "+v.Version, state)
	}
	return s.String()
}

// describeIcon is where a picture is: the record may have it itself.
func describeIcon(icon string) string {
	if kind, data, ok := strings.Cut(icon, ";base64,"); ok {
		return fmt.Sprintf("%s in the record, %.1f kB", strings.TrimPrefix(kind, "data:"), float64(len(data))*3/4/1e3)
	}
	return icon
}

func describeRecordImage(s *sheet, image *schema.RecordImage) {
	if image == nil {
		return
	}
	s.row("Image", image.Ref)
	s.row("Digest", image.Digest)
	s.row("Image signed by", strings.Join(image.SignedBy, ", "))
	s.row("Provenance", image.Provenance)
	s.head("Platforms")
	for _, name := range slices.Sorted(maps.Keys(image.Platforms)) {
		p := image.Platforms[name]
		size := ""
		if p.Size > 0 {
			size = fmt.Sprintf("%.1f MB", float64(p.Size)/1e6)
		}
		if p.Packages > 0 {
			size += " SBOM of " + plain.Count(p.Packages, "package", "packages")
		}
		s.row("  "+name, strings.Join(strings.Fields(p.Ref+" "+size+" "+p.Digest), " "))
	}
}

func describeRun(s *sheet, run *schema.RecordRun) {
	if run == nil {
		return
	}
	s.head("Run settings")
	s.row("  fprocess", run.FProcess)
	if run.ReadOnlyRootFilesystem {
		s.row("  file system", "can only be read, but for /tmp")
	}
	s.settings("variable", run.Environment)
	s.settings("label", run.Labels)
	s.settings("annotation", run.Annotations)
	s.row("  secrets", strings.Join(run.Secrets, ", "))
	for _, r := range []struct {
		title string
		has   *schema.RecordResources
	}{{"  limits", run.Limits}, {"  requests", run.Requests}} {
		if r.has != nil {
			s.row(r.title, strings.TrimSpace(strings.Join(nonEmpty("memory "+r.has.Memory, "cpu "+r.has.CPU), ", ")))
		}
	}
}

// nonEmpty are those of "key value" that have a value.
func nonEmpty(pairs ...string) []string {
	return slices.DeleteFunc(pairs, func(p string) bool { return strings.HasSuffix(p, " ") })
}

func describeAnswer(e schema.Example) string {
	status := e.Status
	if status == 0 {
		status = 200
	}
	text := fmt.Sprint(status)
	switch {
	case e.Equals != "":
		text += " " + plain.Quoted(e.Equals)
	case e.Contains != "":
		text += " with " + plain.Quoted(e.Contains)
	}
	if e.Title != "" {
		text += "  (" + e.Title + ")"
	}
	return text
}

func (s *sheet) String() string {
	_ = s.tw.Flush() // a strings.Builder takes everything
	return s.text.String()
}
