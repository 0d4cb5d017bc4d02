package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
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
	maxImages     = 100 // that a statement names by package URLs of type oci
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
	component
	Subcomponents []component `json:"subcomponents"`
}

// A component is a part of a product. Parts of parts there are none.
type component struct {
	ID          string            `json:"@id"`
	Identifiers map[string]string `json:"identifiers"`
}

// UnmarshalJSON takes both forms.
func (p *product) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &p.ID) == nil {
		return nil
	}
	var parts struct {
		Subcomponents []component `json:"subcomponents"`
	}
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	p.Subcomponents = parts.Subcomponents
	return p.component.UnmarshalJSON(data)
}

// UnmarshalJSON takes both forms.
func (c *component) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &c.ID) == nil {
		return nil
	}
	type plainComponent component
	return json.Unmarshal(data, (*plainComponent)(c))
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

// holes are what a statement calls the hole, each in small letters: its name, its other names, and the end of its address.
func (s *statement) holes() []string {
	all := append([]string{s.Vulnerability.Name, s.Vulnerability.ID, s.Vulnerability.ID[strings.LastIndexByte(s.Vulnerability.ID, '/')+1:]}, s.Vulnerability.Aliases...)
	for i := range all {
		all[i] = strings.ToLower(all[i])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ids are what a product or a part of it is called.
func (c *component) ids() []string {
	out := []string{c.ID}
	for _, id := range c.Identifiers {
		out = append(out, id)
	}
	return out
}

// A coverage says in which subjects a statement is about a package.
type coverage struct {
	everywhere bool
	names      map[string]bool // or those that are called so
	images     []string        // or these, by package URLs of type oci
}

// covers says in which subjects the products of a statement, or parts of them, are the package of a finding.
func (s *statement) covers(f *Finding) coverage {
	c := coverage{names: map[string]bool{}}
	is := func(id string) bool { return samePURL(id, f.PURL) }
	for i := range s.Products {
		p := &s.Products[i]
		ids := p.ids()
		if slices.ContainsFunc(ids, is) {
			return coverage{everywhere: true}
		}
		if len(p.Subcomponents) > 0 && !slices.ContainsFunc(p.Subcomponents, func(sub component) bool { return slices.ContainsFunc(sub.ids(), is) }) {
			continue
		}
		for _, id := range ids {
			if strings.HasPrefix(id, "pkg:oci/") && len(c.images) < maxImages {
				c.images = append(c.images, id)
			} else if id != "" {
				c.names[id] = true
			}
		}
	}
	return c
}

// samePURL reports whether a package URL of a document means a package: one without a version
// means all versions, and qualifiers are not compared.
func samePURL(says, is string) bool {
	if says == "" || is == "" {
		return false
	}
	name, version := purlParts(says)
	isName, isVersion := purlParts(is)
	return name == isName && (version == "" || version == isVersion)
}

// purlParts are a package URL without its version, and the version. Neither is escaped any more, since writers
// differ in what they escape, and how.
func purlParts(purl string) (name, version string) {
	name, _, _ = strings.Cut(purl, "?")
	name, _, _ = strings.Cut(name, "#")
	if i := strings.LastIndexByte(name, '@'); i > strings.LastIndexByte(name, '/') {
		name, version = name[:i], name[i+1:]
	}
	plainly := func(s string) string {
		if u, err := url.PathUnescape(s); err == nil {
			return u
		}
		return s
	}
	return plainly(name), plainly(version)
}

// has reports whether a subject is one of them: by its function's name, its image's reference with or without tag or
// digest, or a package URL of type oci with its digest.
func (c *coverage) has(s *Subject) bool {
	d := s.Document.Subject
	if c.everywhere || c.names[s.Name] || s.Image != "" && c.names[s.Image] || d.Name != "" && (c.names[d.Name] || d.Digest != "" && c.names[d.Name+"@"+d.Digest]) {
		return true
	}
	return slices.ContainsFunc(c.images, func(id string) bool {
		rest, _, _ := strings.Cut(strings.TrimPrefix(id, "pkg:oci/"), "?")
		name, digest, _ := strings.Cut(rest, "@")
		digest = strings.ReplaceAll(digest, "%3A", ":")
		return name == d.Name[strings.LastIndex(d.Name, "/")+1:] && (digest == "" || digest == d.Digest)
	})
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
	by := map[string][]int{} // statements about a hole, by its names
	for i, s := range all {
		for _, name := range s.holes() {
			by[name] = append(by[name], i)
		}
	}
	for i := range findings {
		f := &findings[i]
		if f.Kind != Vulnerability {
			continue
		}
		var at []int
		for _, name := range f.names() {
			at = append(at, by[strings.ToLower(name)]...)
		}
		if len(at) == 0 {
			continue
		}
		slices.Sort(at)
		var about []*statement
		for _, i := range slices.Compact(at) {
			about = append(about, all[i])
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
	newest := map[string]*statement{} // by function
	for _, s := range about {
		c := s.covers(f)
		for _, name := range f.Functions {
			if c.has(subjects[name]) {
				newest[name] = s
			}
		}
	}
	for _, name := range f.Functions {
		last := newest[name]
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
