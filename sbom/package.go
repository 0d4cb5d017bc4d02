package sbom

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Ecosystems, as the OSV format calls them. A distribution's has its release behind a colon:
// "Debian:12", "Alpine:v3.20".
const (
	PyPI   = "PyPI"
	NPM    = "npm"
	JSR    = "JSR" // OSV has none
	Go     = "Go"
	Crates = "crates.io"
	Maven  = "Maven"
	Debian = "Debian"
	Ubuntu = "Ubuntu"
	Alpine = "Alpine"
)

// A Package is something with a name and a version that is in an image.
type Package struct {
	Ecosystem string // as OSV calls it, with a distribution's release: "PyPI", "Debian:12"; "" is none that is known
	Name      string // as its ecosystem spells it: "requests", "@types/node", "org.slf4j:slf4j-api"
	Version   string // "" where nobody says
	PURL      string
	Source    Source   // of a distribution's package, what it is built from
	Licence   string   // as the package says it
	Supplier  string   // who maintains it, as the package says it
	Hashes    []Hash   // of what was downloaded, as a lock has it
	Where     []string // files of the image, or of the function, that say so; sorted
	Evidence  Evidence // how it is known
	Direct    bool     // the function asks for it itself
	DependsOn []string // PURLs of packages of the document; sorted
}

// A Source is the source package that a distribution builds a package from, by which
// advisories name it.
type Source struct{ Name, Version string }

// A Hash is the digest of a file, in hexadecimal digits.
type Hash struct {
	Algorithm string // "SHA-256"
	Value     string
}

// Evidence is how a package is known.
type Evidence string

// Kinds of evidence, the best first.
const (
	Installed Evidence = "installed" // its files are in the image
	Compiled  Evidence = "compiled"  // a program in the image says that it is part of it
	Locked    Evidence = "locked"    // the function's lock has it, which the image is made by
)

// A Document is what an image is made of.
type Document struct {
	Subject  Subject
	Created  time.Time // of the image, so that it is the same each time
	System   System
	Base     Base
	Watchdog Watchdog
	Template Template
	Packages []Package // sorted, each once
}

// A Subject is the image that a document is about, or programs that are in none.
type Subject struct {
	Name     string // repository, without tag and digest
	Version  string // of programs; "" is an image
	Digest   string // of the image of one platform; "" where it is not known
	Platform string // "linux/amd64"
}

// A System is the distribution that an image says to be: its os-release.
type System struct {
	ID, Version, Name string // "debian", "12", "Debian GNU/Linux 12 (bookworm)"
}

// A Base is the image that an image begins with; the zero value is none.
type Base struct {
	Reference string // with its tag, in full
	Digest    string // of its index, or of its only image
	SBOM      string // reference of its own SBOM, where its index has one: NAME@DIGEST
}

// A Watchdog is what an image has before its function; the zero value is none.
type Watchdog struct {
	Name    string // "fwatchdog", or a reference
	Version string
	Digest  string // of its layer
}

// A Template is what an image was made by; the zero value is none.
type Template struct {
	Name, Version, Checksum string
	Commit                  string // of the repository that it is from, where that is known
}

// Sort brings a document into its order: packages sorted, each once, with everything that is
// said of it.
func (d *Document) Sort() { d.Packages = Union(d.Packages) }

// Union returns the packages of several lists in order, each once. What one list says of a
// package and another does not is put together; earlier lists are believed first.
func Union(lists ...[]Package) []Package {
	at := map[string]int{}
	var out []Package
	for _, p := range slices.Concat(lists...) {
		key := p.Ecosystem + "\x00" + p.Name + "\x00" + p.Version + "\x00" + p.PURL
		if i, ok := at[key]; ok {
			out[i].add(p)
			continue
		}
		at[key] = len(out)
		p.Where, p.DependsOn, p.Hashes = slices.Clone(p.Where), slices.Clone(p.DependsOn), slices.Clone(p.Hashes)
		out = append(out, p)
	}
	for i := range out {
		out[i].sort()
	}
	slices.SortFunc(out, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.PURL, b.PURL))
	})
	return out
}

// add adds what another one says of the same package.
func (p *Package) add(q Package) {
	p.Source = cmp.Or(p.Source, q.Source)
	p.Licence, p.Supplier, p.Evidence = cmp.Or(p.Licence, q.Licence), cmp.Or(p.Supplier, q.Supplier), cmp.Or(p.Evidence, q.Evidence)
	p.Direct = p.Direct || q.Direct
	p.Where, p.DependsOn, p.Hashes = append(p.Where, q.Where...), append(p.DependsOn, q.DependsOn...), append(p.Hashes, q.Hashes...)
}

func (p *Package) sort() {
	slices.Sort(p.Where)
	slices.Sort(p.DependsOn)
	slices.SortFunc(p.Hashes, func(a, b Hash) int {
		return cmp.Or(strings.Compare(a.Algorithm, b.Algorithm), strings.Compare(a.Value, b.Value))
	})
	p.Where, p.DependsOn, p.Hashes = slices.Compact(p.Where), slices.Compact(p.DependsOn), slices.Compact(p.Hashes)
}
