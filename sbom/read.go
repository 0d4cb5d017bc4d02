package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"fnb/internal/plain"
)

// MaxBytes bounds an SBOM that is read.
const MaxBytes = 32 << 20

// A FormatError is what is no SBOM that can be read.
type FormatError struct {
	Problem string
	Err     error
}

func (e *FormatError) Error() string { return "reading an SBOM: " + e.Problem }
func (e *FormatError) Unwrap() error { return e.Err }

// Read reads an SBOM of anybody's, in SPDX 2 or CycloneDX 1, as JSON: its packages, and what it is
// about. Its error is a [*FormatError].
func Read(data []byte) (Document, error) {
	if len(data) > MaxBytes {
		return Document{}, &FormatError{fmt.Sprintf("it has %s, more than the %s that are read", plain.Size(int64(len(data))), plain.Size(MaxBytes)), nil}
	}
	var head struct {
		SPDXVersion string `json:"spdxVersion"`
		BOMFormat   string `json:"bomFormat"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Document{}, &FormatError{"it is not JSON: " + plain.Short(err.Error()), err}
	}
	var d Document
	var err error
	switch {
	case strings.HasPrefix(head.SPDXVersion, "SPDX-2."):
		d, err = readSPDX(data)
	case head.BOMFormat == "CycloneDX":
		d, err = readCycloneDX(data)
	case bytes.Contains(data, []byte("spdx.org/rdf/3")):
		err = errors.New("it is of SPDX 3; SPDX 2 and CycloneDX are read")
	default:
		err = errors.New("it is neither SPDX 2 nor CycloneDX")
	}
	if err != nil {
		return Document{}, &FormatError{plain.Short(err.Error()), err}
	}
	d.Sort()
	return d, nil
}

func readSPDX(data []byte) (Document, error) {
	var in spdxDocument
	if err := json.Unmarshal(data, &in); err != nil {
		return Document{}, err
	}
	d := Document{Created: readTime(in.CreationInfo.Created), Subject: Subject{Name: in.Name}}
	purls := map[string]string{}
	at := map[string]int{}
	texts := map[string]string{}
	for _, l := range in.Licences {
		texts[l.ID] = l.Name
	}
	for _, s := range in.Packages {
		purl := s.reference("purl")
		if d.spdxPart(&s, purl) || purl == "" || strings.HasPrefix(purl, "pkg:oci/") || s.Purpose == "CONTAINER" {
			continue
		}
		p := Package{Name: s.Name, Version: s.VersionInfo, PURL: purl}
		p.identify()
		p.Supplier = strings.TrimPrefix(strings.TrimPrefix(said(s.Supplier), "Organization: "), "Person: ")
		p.Licence = said(s.LicenseDeclared)
		if t := texts[p.Licence]; t != "" {
			p.Licence = t
		}
		for _, c := range s.Checksums {
			if n, ok := strings.CutPrefix(c.Algorithm, "SHA"); ok {
				p.Hashes = append(p.Hashes, Hash{"SHA-" + n, c.Value})
			}
		}
		p.retell(s.Comment)
		if source, ok := strings.CutPrefix(s.SourceInfo, builtFrom); ok {
			p.Source.Name, p.Source.Version, _ = strings.Cut(source, " ")
		}
		purls[s.SPDXID], at[s.SPDXID] = purl, len(d.Packages)
		d.Packages = append(d.Packages, p)
	}
	for _, r := range in.Relationships {
		if i, ok := at[r.From]; ok && r.Type == "DEPENDS_ON" && purls[r.To] != "" {
			d.Packages[i].DependsOn = append(d.Packages[i].DependsOn, purls[r.To])
		}
	}
	return d, nil
}

// reference is the first external reference of a type.
func (s *spdxPackage) reference(kind string) string {
	for _, r := range s.ExternalRefs {
		if r.Type == kind {
			return r.Locator
		}
	}
	return ""
}

// spdxPart reads what fnb writes as a package and is none, and reports whether it is that.
func (d *Document) spdxPart(s *spdxPackage, purl string) bool {
	switch s.SPDXID {
	case spdxImage:
		d.Subject = subjectOf(purl, s.Name, s.VersionInfo)
		if s.Purpose == "APPLICATION" {
			d.Subject.Version = s.VersionInfo
		}
	case spdxBase:
		d.Base = Base{Reference: s.Name, Digest: s.VersionInfo, SBOM: s.reference(referenceBOM)}
	case spdxSystem:
		d.System = System{s.Name, s.VersionInfo, s.Comment}
	case spdxWatchdog:
		d.Watchdog = Watchdog{Name: s.Name, Version: versionOf(s.VersionInfo), Digest: digestOf(s.Checksums)}
	case spdxTemplate:
		_, checksum, _ := strings.Cut(s.Comment, "checksum ")
		d.Template = Template{Name: s.Name, Version: s.VersionInfo, Checksum: checksum, Commit: strings.TrimPrefix(s.SourceInfo, "of the commit ")}
	default:
		return false
	}
	return true
}

// said is a value of SPDX that says something.
func said(s string) string {
	if s == noAssertion || s == "NONE" {
		return ""
	}
	return s
}

func versionOf(s string) string {
	if strings.HasPrefix(s, "sha256:") {
		return ""
	}
	return s
}

func digestOf(all []spdxChecksum) string {
	for _, c := range all {
		if c.Algorithm == "SHA256" {
			return "sha256:" + c.Value
		}
	}
	return ""
}

func readTime(s string) time.Time {
	t, _ := time.Parse(time.RFC3339, s) // what is no time is none
	return t
}

// subjectOf is what the package URL of an image says.
func subjectOf(purl, name, version string) Subject {
	s := Subject{Name: name}
	if strings.HasPrefix(version, "sha256:") {
		s.Digest = version
	}
	if u, err := packageurl.FromString(purl); err == nil {
		if arch := u.Qualifiers.Map()["arch"]; arch != "" {
			s.Platform = "linux/" + arch
		}
	}
	return s
}

// retell reads what [Package.told] says.
func (p *Package) retell(s string) {
	s, direct := strings.CutSuffix(s, "; the function asks for it itself")
	how, where, _ := strings.Cut(s, ": ")
	switch e := Evidence(how); e {
	case Installed, Compiled, Locked:
		p.Evidence, p.Direct = e, direct
		if where != "" {
			p.Where = strings.Split(where, ", ")
		}
	}
}

// identify completes a package by its package URL, which says more than names do.
func (p *Package) identify() {
	u, err := packageurl.FromString(p.PURL)
	if err != nil {
		return
	}
	if p.Version == "" {
		p.Version = u.Version
	}
	joined := func(separator string) string {
		if u.Namespace == "" {
			return u.Name
		}
		return u.Namespace + separator + u.Name
	}
	switch u.Type {
	case "pypi":
		p.Ecosystem, p.Name = PyPI, PythonName(u.Name)
	case "npm":
		p.Ecosystem, p.Name = NPM, joined("/")
	case "golang":
		p.Ecosystem, p.Version = Go, strings.TrimPrefix(u.Version, "v")
		if name := joined("/"); !strings.EqualFold(name, p.Name) { // a package URL has it in lower case
			p.Name = name
		}
	case "cargo":
		p.Ecosystem, p.Name = Crates, u.Name
	case "maven":
		p.Ecosystem, p.Name = Maven, joined(":")
	case "deb", "apk":
		p.Name = u.Name
		q := u.Qualifiers.Map()
		id, version, _ := strings.Cut(q["distro"], "-")
		if id == "" {
			id = u.Namespace
		}
		p.Ecosystem = Ecosystem(System{ID: id, Version: version})
		if up := q["upstream"]; up != "" {
			p.Source.Name, p.Source.Version, _ = strings.Cut(up, "@")
		}
		if p.Source.Name == "" {
			p.Source = Source{p.Name, p.Version}
		}
	case "generic":
		if url := u.Qualifiers.Map()["download_url"]; strings.HasPrefix(url, "https://jsr.io/") {
			p.Ecosystem, p.Name = JSR, strings.TrimPrefix(url, "https://jsr.io/")
		}
	}
}

// Ecosystem is what OSV calls the packages of a distribution; "" is one that it does not know.
func Ecosystem(s System) string {
	name := map[string]string{"debian": Debian, "ubuntu": Ubuntu, "alpine": Alpine}[s.ID]
	version := s.Version
	switch {
	case name == "" || version == "":
		return name
	case name == Alpine: // 3.20.1 is of v3.20
		parts := strings.SplitN(version, ".", 3)
		version = "v" + strings.Join(parts[:min(len(parts), 2)], ".")
	}
	return name + ":" + version
}

func readCycloneDX(data []byte) (Document, error) {
	var in cdxDocument
	if err := json.Unmarshal(data, &in); err != nil {
		return Document{}, err
	}
	d := Document{Created: readTime(in.Metadata.Timestamp)}
	if c := in.Metadata.Component; c != nil {
		d.Subject = subjectOf(c.PURL, c.Name, c.Version)
		if c.Type == "application" {
			d.Subject.Version = c.Version
		}
	}
	purls := map[string]string{}
	at := map[string]int{}
	for _, c := range in.Components {
		if d.cdxPart(&c) || c.PURL == "" {
			continue
		}
		purls[c.Ref], at[c.Ref] = c.PURL, len(d.Packages)
		d.Packages = append(d.Packages, c.read())
	}
	for _, dep := range in.Dependencies {
		i, ok := at[dep.Ref]
		if !ok {
			continue
		}
		for _, on := range dep.DependsOn {
			if purls[on] != "" {
				d.Packages[i].DependsOn = append(d.Packages[i].DependsOn, purls[on])
			}
		}
	}
	return d, nil
}

// told are the properties of a component.
func (c *cdxComponent) told() map[string]string {
	out := map[string]string{}
	for _, n := range c.Properties {
		out[n.Name] = n.Value
	}
	return out
}

// cdxPart reads what is no package, and reports whether it is that.
func (d *Document) cdxPart(c *cdxComponent) bool {
	switch {
	case c.Type == "operating-system":
		d.System = System{c.Name, c.Version, c.Desc}
	case c.Ref == "base" && c.Type == "container":
		d.Base = Base{Reference: c.Name, Digest: c.Version}
		for _, r := range c.References {
			if r.Type == "bom" {
				d.Base.SBOM = strings.TrimPrefix(r.URL, "oci://")
			}
		}
	case c.Ref == "watchdog":
		d.Watchdog = Watchdog{Name: c.Name, Version: c.Version}
		for _, h := range c.Hashes {
			if h.Algorithm == "SHA-256" {
				d.Watchdog.Digest = "sha256:" + h.Value
			}
		}
	case c.Ref == "template":
		told := c.told()
		d.Template = Template{Name: c.Name, Version: c.Version, Checksum: told[propChecksum], Commit: told[propCommit]}
	default:
		return false
	}
	return true
}

// read is a component as a package.
func (c *cdxComponent) read() Package {
	told := c.told()
	p := Package{Name: c.Name, Version: c.Version, PURL: c.PURL, Evidence: Evidence(told[propEvidence]), Direct: told[propDirect] == "true"}
	p.identify()
	for _, n := range c.Properties {
		if n.Name == propWhere {
			p.Where = append(p.Where, n.Value)
		}
	}
	for _, h := range c.Hashes {
		p.Hashes = append(p.Hashes, Hash(h))
	}
	switch {
	case told[propSource] != "":
		p.Source.Name, p.Source.Version, _ = strings.Cut(told[propSource], " ")
	case told[trivySource] != "":
		p.Source = Source{told[trivySource], told[trivyVersion]}
		if release := told[trivyRelease]; release != "" {
			p.Source.Version += "-" + release
		}
		if epoch := told[trivyEpoch]; epoch != "" {
			p.Source.Version = epoch + ":" + p.Source.Version
		}
	}
	if c.Supplier != nil {
		p.Supplier = c.Supplier.Name
	}
	for _, l := range c.Licences {
		switch {
		case l.Expression != "":
			p.Licence = l.Expression
		case l.Licence != nil && p.Licence == "":
			if p.Licence = l.Licence.ID; p.Licence == "" {
				p.Licence = l.Licence.Name
			}
		}
	}
	return p
}
