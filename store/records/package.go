package records

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"fnb/internal/plain"
	"fnb/schema"
)

// A Package is a template or function as a store has it.
type Package struct {
	Kind     string           `json:"kind"`  // [schema.KindTemplate] or [schema.KindFunction]
	Name     string           `json:"name"`  // namespace/name; without namespace where it is part of fnb
	Store    string           `json:"store"` // its name; "" for that of a folder
	About    schema.Package   `json:"about"`
	Versions []PackageVersion `json:"versions"` // ascending, never none
}

// A PackageVersion is a record, and whether it was withdrawn. In OpenFaaS's lists
// versions have no number, and images no digest.
type PackageVersion struct {
	schema.Record
	Yanked  *schema.Yank `json:"yanked,omitempty"`
	Signer  *Signer      `json:"signer,omitempty"`  // who signed the record, and may
	Refused string       `json:"refused,omitempty"` // why its signatures are not those that its namespace wants
}

// usable reports whether a version may be chosen by a name alone.
func usable(version string, yanked *schema.Yank, refused string) bool {
	return yanked == nil && refused == "" && IsStable(version)
}

// Newest is the version that speaks for the package: the highest stable one that is
// neither withdrawn nor refused, or else the highest.
func (p Package) Newest() PackageVersion {
	return newest(p.Versions, func(v PackageVersion) bool { return usable(v.Version, v.Yanked, v.Refused) })
}

// Exported is the package as other rooms see it.
func (p StoredPackage) Exported(store string) Package {
	out := Package{Kind: p.Kind(), Name: p.Name, Store: store, About: p.About}
	for _, v := range p.Versions {
		out.Versions = append(out.Versions, v.exported())
	}
	return out
}

func (v StoredVersion) exported() PackageVersion {
	return PackageVersion{Record: v.Record, Yanked: v.Yanked, Signer: v.Signer, Refused: v.Refused}
}

// A Summary is one line of the names.
type Summary struct {
	Name        string // namespace/name
	Latest      string // the highest stable version that is not yanked, or ""
	Language    string
	Tags        string
	Deprecated  string
	Title       string
	Categories  string // separated by spaces
	Platforms   string // separated by spaces; "" for any
	Description string
	Published   time.Time // of Latest; zero if its record does not say
	Signer      string    // of Latest; "" where nobody signed it

	Offset, Size int64
	Sum          string // of the versions' lines
}

// Line is the summary as the names of an index have it, which [ParseSummary] reads.
func (m Summary) Line() string {
	published := ""
	if !m.Published.IsZero() {
		published = m.Published.UTC().Format(time.RFC3339)
	}
	return strings.Join([]string{
		m.Name, m.Latest, m.Language, m.Tags, m.Deprecated,
		strconv.FormatInt(m.Offset, 10), strconv.FormatInt(m.Size, 10), m.Sum,
		m.Title, m.Categories, m.Platforms, m.Description, published, m.Signer,
	}, "\t") + "\n"
}

// ParseSummary reads a line of the names; false for what is none.
func ParseSummary(line string) (Summary, bool) {
	f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	if len(f) != 14 {
		return Summary{}, false
	}
	m := Summary{
		Name: f[0], Latest: f[1], Language: f[2], Tags: f[3], Deprecated: f[4], Sum: f[7],
		Title: f[8], Categories: f[9], Platforms: f[10], Description: f[11], Signer: f[13],
	}
	var errs [3]error
	m.Offset, errs[0] = strconv.ParseInt(f[5], 10, 64)
	m.Size, errs[1] = strconv.ParseInt(f[6], 10, 64)
	if f[12] != "" {
		m.Published, errs[2] = time.Parse(time.RFC3339, f[12])
	}
	return m, errors.Join(errs[:]...) == nil
}

// Summarize tells the most important of a package. A text that could break the
// line or a terminal is made plain.
func Summarize(p StoredPackage) Summary {
	v := NewestOf(p.Versions)
	m := Summary{
		Name: p.Name, Language: plain.Short(v.Language), Tags: plain.Short(strings.Join(p.About.Tags, " ")), Description: plain.Short(v.Description),
		Title: plain.Short(v.Title), Categories: plain.Short(strings.Join(v.Categories, " ")), Platforms: plain.Short(strings.Join(v.RunsOn(), " ")),
	}
	if v.Yanked == nil && v.Refused == "" {
		m.Latest = v.Version
		if v.Signer != nil {
			m.Signer = plain.Short(v.Signer.String())
		}
		if v.Published != nil {
			m.Published = *v.Published
		}
	}
	if p.About.Description != "" {
		m.Description = plain.Short(p.About.Description)
	}
	if d := p.About.Deprecated; d != nil {
		m.Deprecated = plain.Short("deprecated: " + d.Reason)
	}
	return m
}

// NewestOf is the version that speaks for a package: the highest stable one that is
// neither withdrawn nor refused, or else the highest.
func NewestOf(versions []StoredVersion) StoredVersion {
	return newest(versions, func(v StoredVersion) bool { return usable(v.Version, v.Yanked, v.Refused) })
}

// newest is the highest of versions, which ascend, that may be used, or else the
// highest.
func newest[V any](versions []V, usable func(V) bool) V {
	for _, v := range slices.Backward(versions) {
		if usable(v) {
			return v
		}
	}
	return versions[len(versions)-1]
}

// IsStable reports whether a version is one, and no prerelease.
func IsStable(version string) bool {
	v, err := semver.StrictNewVersion(version)
	return err == nil && v.Prerelease() == ""
}

// Content is what a version is, whenever and by whomever it is published: the
// checksum of a template's files, or of all that the record of a function says.
func Content(rec schema.Record) string {
	if rec.Kind != schema.KindFunction {
		return rec.Checksum
	}
	rec.Published = nil
	data, err := rec.Marshal()
	if err != nil {
		return "" // unknown keys that are no JSON, which no reader lets through
	}
	return "sha256:" + Sum(data)
}

// Sum is the SHA-256 of data in hex.
func Sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
