package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The parts of SPDX 2.3 that are written and read.
type (
	spdxDocument struct {
		SPDXVersion       string             `json:"spdxVersion"`
		DataLicense       string             `json:"dataLicense"`
		SPDXID            string             `json:"SPDXID"`
		Name              string             `json:"name"`
		DocumentNamespace string             `json:"documentNamespace"`
		CreationInfo      spdxCreation       `json:"creationInfo"`
		Packages          []spdxPackage      `json:"packages"`
		Licences          []spdxLicence      `json:"hasExtractedLicensingInfos,omitempty"`
		Relationships     []spdxRelationship `json:"relationships"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		Name             string         `json:"name"`
		SPDXID           string         `json:"SPDXID"`
		VersionInfo      string         `json:"versionInfo,omitempty"`
		Supplier         string         `json:"supplier"`
		DownloadLocation string         `json:"downloadLocation"`
		FilesAnalyzed    bool           `json:"filesAnalyzed"`
		Checksums        []spdxChecksum `json:"checksums,omitempty"`
		SourceInfo       string         `json:"sourceInfo,omitempty"`
		LicenseConcluded string         `json:"licenseConcluded"`
		LicenseDeclared  string         `json:"licenseDeclared"`
		CopyrightText    string         `json:"copyrightText"`
		Comment          string         `json:"comment,omitempty"`
		ExternalRefs     []spdxRef      `json:"externalRefs,omitempty"`
		Purpose          string         `json:"primaryPackagePurpose,omitempty"`
	}
	spdxChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	spdxRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxLicence struct {
		ID   string `json:"licenseId"`
		Text string `json:"extractedText"`
		Name string `json:"name"`
	}
	spdxRelationship struct {
		From string `json:"spdxElementId"`
		Type string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	}
)

const (
	noAssertion  = "NOASSERTION"
	spdxDocID    = "SPDXRef-DOCUMENT"
	spdxImage    = "SPDXRef-Image"
	spdxBase     = "SPDXRef-Base"
	spdxWatchdog = "SPDXRef-Watchdog"
	spdxTemplate = "SPDXRef-Template"
	spdxSystem   = "SPDXRef-OperatingSystem" // Trivy finds it by this name
	createdBy    = "fnb"
	referenceBOM = "sbom"
)

// SPDX writes the document as SPDX 2.3 in JSON. The same document is the same bytes.
func (d *Document) SPDX() ([]byte, error) {
	d.Sort()
	w := &spdxWriter{doc: d, ids: map[string]string{}}
	out := spdxDocument{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: spdxDocID, Name: cmp.Or(d.Subject.Name, "image"),
		CreationInfo: spdxCreation{Created: d.Created.UTC().Format(time.RFC3339), Creators: []string{"Tool: " + createdBy}},
	}
	w.parts()
	w.packages()
	out.Packages, out.Relationships = w.all, w.relations
	for _, text := range slices.Compact(slices.Sorted(slices.Values(w.licences))) {
		out.Licences = append(out.Licences, spdxLicence{ID: licenceRef(text), Text: text, Name: text})
	}
	data, err := writeJSON(out)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	out.DocumentNamespace = "https://spdx.org/spdxdocs/" + createdBy + "/" + slug(out.Name, 100) + "-" + hex.EncodeToString(sum[:])
	return writeJSON(out)
}

// writeJSON is a value as JSON that people can read.
func writeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("writing the SBOM: %w", err)
	}
	return b.Bytes(), nil
}

type spdxWriter struct {
	doc       *Document
	all       []spdxPackage
	relations []spdxRelationship
	licences  []string
	ids       map[string]string // by PURL
}

func (w *spdxWriter) relate(from, kind, to string) {
	w.relations = append(w.relations, spdxRelationship{from, kind, to})
}

// plainPackage has what SPDX demands of each.
func plainPackage(id, name, version string) spdxPackage {
	return spdxPackage{
		Name: name, SPDXID: id, VersionInfo: version, Supplier: noAssertion, DownloadLocation: noAssertion, LicenseConcluded: noAssertion,
		LicenseDeclared: noAssertion, CopyrightText: noAssertion,
	}
}

// parts writes what is no package: the image itself, and what it was made of.
func (w *spdxWriter) parts() {
	d := w.doc
	img := plainPackage(spdxImage, cmp.Or(d.Subject.Name, "image"), cmp.Or(d.Subject.Digest, d.Subject.Version))
	img.Purpose = "CONTAINER"
	if d.Subject.Version != "" {
		img.Purpose = "APPLICATION"
	}
	img.Checksums = checksums(d.Subject.Digest)
	img.ExternalRefs = purlRef(d.Subject.PURL())
	w.all = append(w.all, img)
	w.relate(spdxDocID, "DESCRIBES", spdxImage)
	if s := d.System; s.ID != "" {
		os := plainPackage(spdxSystem, s.ID, s.Version)
		os.Purpose, os.Comment = "OPERATING-SYSTEM", s.Name
		w.all = append(w.all, os)
		w.relate(spdxImage, "CONTAINS", spdxSystem)
	}
	if b := d.Base; b != (Base{}) {
		base := plainPackage(spdxBase, b.Reference, b.Digest)
		base.Purpose, base.Checksums, base.ExternalRefs = "CONTAINER", checksums(b.Digest), purlRef(b.PURL())
		if b.SBOM != "" {
			base.ExternalRefs = append(base.ExternalRefs, spdxRef{"OTHER", referenceBOM, b.SBOM})
		}
		w.all = append(w.all, base)
		w.relate(spdxImage, "DESCENDANT_OF", spdxBase)
	}
	if g := d.Watchdog; g != (Watchdog{}) {
		dog := plainPackage(spdxWatchdog, g.Name, cmp.Or(g.Version, g.Digest))
		dog.Purpose, dog.Checksums, dog.Comment = "APPLICATION", checksums(g.Digest), "the watchdog, a layer of its own"
		w.all = append(w.all, dog)
		w.relate(spdxImage, "CONTAINS", spdxWatchdog)
	}
	if t := d.Template; t != (Template{}) {
		tmpl := plainPackage(spdxTemplate, t.Name, t.Version)
		tmpl.Purpose, tmpl.Comment = "SOURCE", "the template, with the checksum "+t.Checksum
		if t.Commit != "" {
			tmpl.SourceInfo = "of the commit " + t.Commit
		}
		w.all = append(w.all, tmpl)
		w.relate(spdxImage, "GENERATED_FROM", spdxTemplate)
	}
}

func checksums(digest string) []spdxChecksum {
	if value, ok := strings.CutPrefix(digest, "sha256:"); ok {
		return []spdxChecksum{{"SHA256", value}}
	}
	return nil
}

func purlRef(purl string) []spdxRef {
	if purl == "" {
		return nil
	}
	return []spdxRef{{"PACKAGE-MANAGER", "purl", purl}}
}

// packages writes the packages, and which needs which.
func (w *spdxWriter) packages() {
	for _, p := range w.doc.Packages {
		id := "SPDXRef-" + slug(p.Ecosystem+"-"+p.Name, 80) + "-" + p.key()
		w.ids[p.PURL] = cmp.Or(w.ids[p.PURL], id)
		s := plainPackage(id, p.Name, p.Version)
		s.Purpose, s.ExternalRefs, s.Comment = "LIBRARY", purlRef(p.PURL), p.told()
		if p.Supplier != "" {
			s.Supplier = "Organization: " + p.Supplier
		}
		if p.Source.Name != "" {
			s.SourceInfo = strings.TrimSpace(builtFrom + p.Source.Name + " " + p.Source.Version)
		}
		for _, h := range p.Hashes {
			if a := strings.ReplaceAll(h.Algorithm, "-", ""); a == "SHA1" || a == "SHA256" || a == "SHA384" || a == "SHA512" {
				s.Checksums = append(s.Checksums, spdxChecksum{a, h.Value})
			}
		}
		switch {
		case p.Licence == "":
		case expression(p.Licence):
			s.LicenseDeclared = p.Licence
		default:
			s.LicenseDeclared = licenceRef(p.Licence)
			w.licences = append(w.licences, p.Licence)
		}
		w.all = append(w.all, s)
		w.relate(spdxImage, "CONTAINS", id)
	}
	for _, p := range w.doc.Packages {
		for _, on := range p.DependsOn {
			if to := w.ids[on]; to != "" && to != w.ids[p.PURL] {
				w.relate(w.ids[p.PURL], "DEPENDS_ON", to)
			}
		}
	}
}

// key tells packages apart.
func (p *Package) key() string {
	sum := sha256.Sum256([]byte(p.Ecosystem + "\x00" + p.Name + "\x00" + p.Version + "\x00" + p.PURL))
	return hex.EncodeToString(sum[:6])
}

// builtFrom is how Trivy tells of a source package, whose holes it then looks for.
const builtFrom = "built package from: "

// told says how a package is known.
func (p *Package) told() string {
	text := string(p.Evidence)
	if len(p.Where) > 0 {
		text += ": " + strings.Join(p.Where[:min(len(p.Where), maxTold)], ", ")
	}
	if p.Direct {
		text += "; the function asks for it itself"
	}
	return text
}
