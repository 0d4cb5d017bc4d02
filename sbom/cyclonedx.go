package sbom

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The parts of CycloneDX 1.6 that are written and read.
type (
	cdxDocument struct {
		BOMFormat    string          `json:"bomFormat"`
		SpecVersion  string          `json:"specVersion"`
		SerialNumber string          `json:"serialNumber,omitempty"`
		Version      int             `json:"version"`
		Metadata     cdxMetadata     `json:"metadata"`
		Components   []cdxComponent  `json:"components"`
		Dependencies []cdxDependency `json:"dependencies,omitempty"`
	}
	cdxMetadata struct {
		Timestamp string        `json:"timestamp"`
		Tools     *cdxTools     `json:"tools,omitempty"`
		Component *cdxComponent `json:"component,omitempty"`
	}
	cdxTools struct {
		Components []cdxComponent `json:"components"`
	}
	cdxComponent struct {
		Type       string          `json:"type"`
		Ref        string          `json:"bom-ref,omitempty"`
		Supplier   *cdxSupplier    `json:"supplier,omitempty"`
		Group      string          `json:"group,omitempty"`
		Name       string          `json:"name"`
		Version    string          `json:"version,omitempty"`
		Desc       string          `json:"description,omitempty"`
		Scope      string          `json:"scope,omitempty"`
		Hashes     []cdxHash       `json:"hashes,omitempty"`
		Licences   []cdxLicence    `json:"licenses,omitempty"`
		PURL       string          `json:"purl,omitempty"`
		References []cdxReference  `json:"externalReferences,omitempty"`
		Components []cdxComponent  `json:"components,omitempty"`
		Properties []cdxNamedValue `json:"properties,omitempty"`
	}
	cdxSupplier struct {
		Name string `json:"name"`
	}
	cdxHash struct {
		Algorithm string `json:"alg"`
		Value     string `json:"content"`
	}
	cdxLicence struct {
		Licence    *cdxLicenceName `json:"license,omitempty"`
		Expression string          `json:"expression,omitempty"`
	}
	cdxLicenceName struct {
		ID   string `json:"id,omitempty"`
		Name string `json:"name,omitempty"`
	}
	cdxReference struct {
		Type string `json:"type"`
		URL  string `json:"url"`
	}
	cdxNamedValue struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	cdxDependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn,omitempty"`
	}
)

// What is told of components that CycloneDX has no word for.
const (
	propEcosystem = "fnb:ecosystem"
	propEvidence  = "fnb:evidence"
	propDirect    = "fnb:direct"
	propWhere     = "fnb:where"
	propSource    = "fnb:source"
	propChecksum  = "fnb:checksum"
	propCommit    = "fnb:commit"
)

// Trivy looks for holes of the source package where it is told of it so. It writes the epoch and the release of a version by
// themselves, and takes them in one.
const (
	trivySource  = "aquasecurity:trivy:SrcName"
	trivyVersion = "aquasecurity:trivy:SrcVersion"
	trivyRelease = "aquasecurity:trivy:SrcRelease"
	trivyEpoch   = "aquasecurity:trivy:SrcEpoch"
)

// CycloneDX writes the document as CycloneDX 1.6 in JSON. The same document is the same bytes.
func (d *Document) CycloneDX() ([]byte, error) {
	d.Sort()
	name := cmp.Or(d.Subject.Name, "image")
	img := cdxComponent{Type: "container", Ref: "image", Name: name, Version: cmp.Or(d.Subject.Digest, d.Subject.Version), PURL: d.Subject.PURL(), Hashes: cdxHashes(d.Subject.Digest)}
	if d.Subject.Version != "" {
		img.Type = "application"
	}
	out := cdxDocument{
		BOMFormat: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: cdxMetadata{
			Timestamp: d.Created.UTC().Format(time.RFC3339), Component: &img,
			Tools: &cdxTools{Components: []cdxComponent{{Type: "application", Name: createdBy}}},
		},
		Components: d.cdxParts(),
	}
	refs := map[string]string{}
	of := cdxDependency{Ref: img.Ref}
	for _, c := range out.Components {
		if c.Scope != "excluded" {
			of.DependsOn = append(of.DependsOn, c.Ref)
		}
	}
	for _, p := range d.Packages {
		c := p.cdx()
		refs[p.PURL] = cmp.Or(refs[p.PURL], c.Ref)
		of.DependsOn = append(of.DependsOn, c.Ref)
		out.Components = append(out.Components, c)
	}
	slices.Sort(of.DependsOn)
	out.Dependencies = append(out.Dependencies, of)
	for _, p := range d.Packages {
		dep := cdxDependency{Ref: p.cdxRef()}
		for _, on := range p.DependsOn {
			if to := refs[on]; to != "" && to != dep.Ref {
				dep.DependsOn = append(dep.DependsOn, to)
			}
		}
		if len(dep.DependsOn) > 0 {
			slices.Sort(dep.DependsOn)
			dep.DependsOn = slices.Compact(dep.DependsOn)
			out.Dependencies = append(out.Dependencies, dep)
		}
	}
	data, err := writeJSON(out)
	if err != nil {
		return nil, err
	}
	out.SerialNumber = "urn:uuid:" + uuid(data)
	return writeJSON(out)
}

// uuid is one that follows from data: version 8, whatever its maker chooses.
func uuid(data []byte) string {
	s := sha256.Sum256(data)
	s[6], s[8] = s[6]&0x0f|0x80, s[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", s[0:4], s[4:6], s[6:8], s[8:10], s[10:16])
}

// cdxParts are what is no package.
func (d *Document) cdxParts() []cdxComponent {
	out := []cdxComponent{}
	if s := d.System; s.ID != "" {
		out = append(out, cdxComponent{Type: "operating-system", Ref: "system", Name: s.ID, Version: s.Version, Desc: s.Name})
	}
	if b := d.Base; b != (Base{}) {
		c := cdxComponent{Type: "container", Ref: "base", Name: b.Reference, Version: b.Digest, PURL: b.PURL(), Hashes: cdxHashes(b.Digest)}
		if b.SBOM != "" {
			c.References = []cdxReference{{"bom", ociURL(b.SBOM)}}
		}
		out = append(out, c)
	}
	if w := d.Watchdog; w != (Watchdog{}) {
		out = append(out, cdxComponent{Type: "application", Ref: "watchdog", Name: w.Name, Version: w.Version, Hashes: cdxHashes(w.Digest)})
	}
	if t := d.Template; t != (Template{}) {
		c := cdxComponent{Type: "application", Ref: "template", Name: t.Name, Version: t.Version, Scope: "excluded", Properties: properties(propChecksum, t.Checksum, propCommit, t.Commit)}
		out = append(out, c)
	}
	return out
}

// ociURL is a reference as a URL, which CycloneDX demands.
func ociURL(ref string) string { return "oci://" + ref }

func cdxHashes(digest string) []cdxHash {
	if value, ok := strings.CutPrefix(digest, "sha256:"); ok {
		return []cdxHash{{"SHA-256", value}}
	}
	return nil
}

// properties are those that have a value.
func properties(pairs ...string) []cdxNamedValue {
	var out []cdxNamedValue
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, cdxNamedValue{pairs[i], pairs[i+1]})
		}
	}
	return out
}

func (p *Package) cdxRef() string { return slug(p.Ecosystem+"-"+p.Name, 80) + "-" + p.key() }

// cdx is a package as CycloneDX has it.
func (p *Package) cdx() cdxComponent {
	c := cdxComponent{Type: "library", Ref: p.cdxRef(), Name: p.Name, Version: p.Version, PURL: p.PURL}
	if group, name, ok := strings.Cut(p.Name, ":"); ok && p.Ecosystem == Maven {
		c.Group, c.Name = group, name
	}
	if p.Supplier != "" {
		c.Supplier = &cdxSupplier{p.Supplier}
	}
	for _, h := range p.Hashes {
		c.Hashes = append(c.Hashes, cdxHash(h))
	}
	switch {
	case p.Licence == "":
	case identifier(p.Licence):
		c.Licences = []cdxLicence{{Licence: &cdxLicenceName{ID: p.Licence}}}
	case expression(p.Licence):
		c.Licences = []cdxLicence{{Expression: p.Licence}}
	default:
		c.Licences = []cdxLicence{{Licence: &cdxLicenceName{Name: p.Licence}}}
	}
	direct := ""
	if p.Direct {
		direct = "true"
	}
	source := strings.TrimSpace(p.Source.Name + " " + p.Source.Version)
	c.Properties = properties(propDirect, direct, propEcosystem, p.Ecosystem, propEvidence, string(p.Evidence), propSource, source, trivySource, p.Source.Name, trivyVersion, p.Source.Version)
	for _, w := range p.Where[:min(len(p.Where), maxTold)] {
		c.Properties = append(c.Properties, cdxNamedValue{propWhere, w})
	}
	return c
}
