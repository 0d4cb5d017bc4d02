package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fnb/internal/plain"
)

// Bounds of a VEX document.
const (
	maxVEX        = 16 << 20
	maxStatements = 100_000
)

// A VEX is a document of OpenVEX: what somebody who knows says of holes and products.
type VEX struct {
	File       string
	statements []statement
}

type statement struct {
	Vulnerability vulnerability `json:"vulnerability"`
	Timestamp     time.Time     `json:"timestamp"`
	Products      []product     `json:"products"`
	Status        string        `json:"status"`
	Justification string        `json:"justification"`
	Impact        string        `json:"impact_statement"`
	Notes         string        `json:"status_notes"`
	file          string
}

// A vulnerability is named by an object, and in documents before 0.2 by its name alone.
type vulnerability struct {
	ID      string   `json:"@id"`
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
}

// UnmarshalJSON takes both forms.
func (v *vulnerability) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &v.Name) == nil {
		return nil
	}
	type plainVulnerability vulnerability
	return json.Unmarshal(data, (*plainVulnerability)(v))
}

// A product is named by an object, and in documents before 0.2 by its name alone.
type product struct {
	ID            string            `json:"@id"`
	Identifiers   map[string]string `json:"identifiers"`
	Subcomponents []product         `json:"subcomponents"`
}

// UnmarshalJSON takes both forms.
func (p *product) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &p.ID) == nil {
		return nil
	}
	type plainProduct product
	return json.Unmarshal(data, (*plainProduct)(p))
}

// A VEXError is a document that cannot be used.
type VEXError struct {
	File string
	Err  error
}

func (e *VEXError) Error() string { return "reading VEX " + e.File + ": " + e.Err.Error() }
func (e *VEXError) Unwrap() error { return e.Err }

// ProjectVEX are the VEX documents of a project's folder: *.openvex.json in it and below .vex.
func ProjectVEX(dir string) ([]string, error) {
	var out []string
	for _, pattern := range []string{"*.openvex.json", filepath.Join(".vex", "*.json")} {
		matches, err := fs.Glob(os.DirFS(dir), filepath.ToSlash(pattern))
		if err != nil {
			return nil, err
		}
		for _, m := range matches {
			out = append(out, filepath.Join(dir, filepath.FromSlash(m)))
		}
	}
	return out, nil
}

// ReadVEX reads a document of OpenVEX, of whatever version. The error is a [VEXError].
func ReadVEX(file string) (VEX, error) {
	f, err := os.Open(file) //nolint:gosec // the user names it
	if err != nil {
		return VEX{}, &VEXError{file, err}
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxVEX+1))
	if err == nil && len(data) > maxVEX {
		err = fmt.Errorf("it is larger than %s", plain.Size(maxVEX))
	}
	if err != nil {
		return VEX{}, &VEXError{file, err}
	}
	v, err := parseVEX(data)
	if err != nil {
		return VEX{}, &VEXError{file, err}
	}
	v.File = file
	for i := range v.statements {
		v.statements[i].file = file
	}
	return v, nil
}

func parseVEX(data []byte) (VEX, error) {
	var doc struct {
		Context    string      `json:"@context"`
		Timestamp  time.Time   `json:"timestamp"`
		Statements []statement `json:"statements"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), &doc); err != nil {
		return VEX{}, fmt.Errorf("it is not OpenVEX: %w", err)
	}
	if !strings.HasPrefix(doc.Context, "https://openvex.dev/ns") {
		return VEX{}, errors.New(`it is not OpenVEX: its @context does not begin with "https://openvex.dev/ns"`)
	}
	if len(doc.Statements) > maxStatements {
		return VEX{}, fmt.Errorf("it has %d statements, of at most %d", len(doc.Statements), maxStatements)
	}
	for i := range doc.Statements {
		s := &doc.Statements[i]
		if s.Timestamp.IsZero() {
			s.Timestamp = doc.Timestamp
		}
		if err := s.check(); err != nil {
			return VEX{}, fmt.Errorf("statement %d: %w", i+1, err)
		}
	}
	return VEX{statements: doc.Statements}, nil
}

func (s *statement) check() error {
	switch {
	case s.Vulnerability.Name == "" && s.Vulnerability.ID == "":
		return errors.New("it names no vulnerability")
	case !slices.Contains([]string{"not_affected", "affected", "fixed", "under_investigation"}, s.Status):
		return fmt.Errorf("status %q is not one of not_affected, affected, fixed and under_investigation", plain.Short(s.Status))
	case s.Status == "not_affected" && s.Justification == "" && s.Impact == "":
		return errors.New("not_affected wants a justification or an impact_statement")
	case len(s.Products) == 0:
		return errors.New("it names no products: such as pkg:npm/lodash, or the name of a function")
	}
	return nil
}

// about reports whether a statement names the hole.
func (s *statement) about(f *Finding) bool {
	for _, n := range f.names() {
		if strings.EqualFold(n, s.Vulnerability.Name) || slices.Contains(s.Vulnerability.Aliases, n) || strings.HasSuffix(s.Vulnerability.ID, "/"+n) || s.Vulnerability.ID == n {
			return true
		}
	}
	return false
}

// ids are what a product is called.
func (p *product) ids() []string {
	out := []string{p.ID}
	for _, id := range p.Identifiers {
		out = append(out, id)
	}
	return out
}

// covers reports whether a product, or a part of it, is the package in the subject.
func (p *product) covers(f *Finding, s *Subject) bool {
	if slices.ContainsFunc(p.ids(), func(id string) bool { return samePURL(id, f.PURL) }) {
		return true
	}
	if !slices.ContainsFunc(p.ids(), func(id string) bool { return isSubject(id, s) }) {
		return false
	}
	if len(p.Subcomponents) == 0 {
		return true
	}
	return slices.ContainsFunc(p.Subcomponents, func(sub product) bool {
		return slices.ContainsFunc(sub.ids(), func(id string) bool { return samePURL(id, f.PURL) })
	})
}

// samePURL reports whether a package URL of a document means a package: one without a version
// means all versions, and qualifiers that it does not have are not compared.
func samePURL(says, is string) bool {
	if says == "" || is == "" {
		return false
	}
	says, _, _ = strings.Cut(says, "?")
	is, _, _ = strings.Cut(is, "?")
	if says == is {
		return true
	}
	name := is
	if i := strings.LastIndex(is, "@"); i > strings.LastIndex(is, "/") {
		name = is[:i]
	}
	return says == name
}

// isSubject reports whether a product is the subject: its function's name, its image's
// reference with or without tag or digest, or a package URL of type oci with its digest.
func isSubject(id string, s *Subject) bool {
	if id == "" {
		return false
	}
	d := s.Document.Subject
	if id == s.Name || id == s.Image || id == d.Name || d.Digest != "" && id == d.Name+"@"+d.Digest {
		return true
	}
	rest, ok := strings.CutPrefix(id, "pkg:oci/")
	if !ok {
		return false
	}
	rest, _, _ = strings.Cut(rest, "?")
	name, digest, _ := strings.Cut(rest, "@")
	digest = strings.ReplaceAll(digest, "%3A", ":")
	return name == d.Name[strings.LastIndex(d.Name, "/")+1:] && (digest == "" || digest == d.Digest)
}

// suppress has findings not count of which the documents say that they do no harm in all
// subjects; the newest statement about one goes before older ones. Where it is said of some
// subjects alone, these are taken out of the finding.
func suppress(findings []Finding, q Question) (notes []string) {
	var all []*statement
	for _, v := range q.VEX {
		for i := range v.statements {
			all = append(all, &v.statements[i])
		}
	}
	slices.SortStableFunc(all, func(a, b *statement) int { return a.Timestamp.Compare(b.Timestamp) })
	subjects := map[string]*Subject{}
	for i := range q.Subjects {
		subjects[q.Subjects[i].Name] = &q.Subjects[i]
	}
	for i := range findings {
		f := &findings[i]
		if f.Kind != Vulnerability {
			continue
		}
		var about []*statement
		for _, s := range all {
			if s.about(f) {
				about = append(about, s)
			}
		}
		if len(about) == 0 {
			continue
		}
		if note := f.suppress(about, subjects); note != "" {
			notes = append(notes, note)
		}
	}
	return notes
}

func (f *Finding) suppress(about []*statement, subjects map[string]*Subject) (note string) {
	var left []string
	var by *statement
	for _, name := range f.Functions {
		var last *statement
		for _, s := range about {
			if slices.ContainsFunc(s.Products, func(p product) bool { return p.covers(f, subjects[name]) }) {
				last = s
			}
		}
		if last == nil || last.Status != "not_affected" && last.Status != "fixed" {
			left = append(left, name)
		} else {
			by = last
		}
	}
	switch {
	case by == nil:
		return ""
	case len(left) > 0:
		gone := len(f.Functions) - len(left)
		f.Functions = left
		return fmt.Sprintf("%s: %s of %s does no harm in %s", by.file, f.ID, f.Package, plain.Count(gone, "other function", "other functions"))
	}
	f.Suppressed = &Suppressed{Status: by.Status, Justification: by.Justification, Statement: by.Impact, File: by.file}
	if f.Suppressed.Statement == "" {
		f.Suppressed.Statement = by.Notes
	}
	return ""
}
