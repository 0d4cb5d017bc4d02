package locks

import (
	"io/fs"
	"strings"

	"fnb/internal/lazyregexp"
	"fnb/sbom"
	"fnb/schema/document"
)

// A crate is one that a Cargo.lock has. What has no source is the function itself, or a folder beside it.
type crate struct {
	Name, Version, Source, Checksum string
	Dependencies                    []string // "serde", or "serde 1.0.2" where there are several
}

// A cargo is what the Cargo.lock of a folder says, and the Cargo.toml beside it.
type cargo struct {
	file   string
	crates []crate
	root   string          // the package of the folder; "" where it has none
	tests  map[string]bool // what it asks for in tests and in scripts of builds alone
}

// cargoLock reads a Cargo.lock.
func cargoLock(l *List, file string, data []byte) error {
	var lock struct{ Package []crate }
	err := document.ReadTOML(data, &lock)
	l.cargo.file, l.cargo.crates = file, lock.Package
	return err
}

// cargoManifest reads what of a Cargo.toml the lock does not say.
func cargoManifest(l *List, _ string, data []byte) error {
	var m struct {
		Package struct{ Name string }
		Needs   map[string]any `toml:"dependencies"`
		Dev     map[string]any `toml:"dev-dependencies"`
		Build   map[string]any `toml:"build-dependencies"`
		Target  map[string]struct {
			Needs map[string]any `toml:"dependencies"`
		}
	}
	if err := document.ReadTOML(data, &m); err != nil {
		return err
	}
	l.cargo.root, l.cargo.tests = m.Package.Name, map[string]bool{}
	for _, all := range []map[string]any{m.Dev, m.Build} {
		for as, how := range all {
			l.cargo.tests[crateName(as, how)] = true
		}
	}
	needs := []map[string]any{m.Needs}
	for _, t := range m.Target {
		needs = append(needs, t.Needs)
	}
	for _, all := range needs {
		for as, how := range all {
			delete(l.cargo.tests, crateName(as, how))
		}
	}
	return nil
}

// crateName is what a crate is called where it is published; a manifest may call it something else.
func crateName(as string, how any) string {
	if table, ok := how.(map[string]any); ok {
		if name, ok := table["package"].(string); ok {
			return name
		}
	}
	return as
}

func crateURL(name, version string) string { return sbom.PURL("cargo", "", name, version, nil) }

// add adds the crates that the function is compiled with: those that its packages need, one by the other.
func (c *cargo) add(l *List) {
	at := map[string]int{} // by name, and by name and version
	for i, e := range c.crates {
		at[e.Name], at[e.Name+" "+e.Version] = i, i
	}
	find := func(need string) int {
		words := strings.Fields(need) // a third one is where it is from
		if i, ok := at[strings.Join(words[:min(len(words), 2)], " ")]; ok {
			return i
		}
		return -1
	}
	used := make([]bool, len(c.crates))
	var next []int
	use := func(i int) {
		if i >= 0 && !used[i] {
			used[i] = true
			next = append(next, i)
		}
	}
	for i, e := range c.crates {
		if e.Source == "" {
			use(i)
		}
	}
	for len(next) > 0 {
		e := &c.crates[next[0]]
		next = next[1:]
		var needs []string
		for _, d := range e.Dependencies {
			name, _, _ := strings.Cut(d, " ")
			if e.Source == "" && e.Name == c.root && c.tests[name] {
				continue
			}
			i := find(d)
			use(i)
			if e.Source == "" {
				l.asks(sbom.Crates, name)
			} else if i >= 0 {
				needs = append(needs, crateURL(c.crates[i].Name, c.crates[i].Version))
			}
		}
		if e.Source == "" || elsewhere.MatchString(e.Name) {
			continue
		}
		p := sbom.Package{Ecosystem: sbom.Crates, Name: e.Name, Version: e.Version, PURL: crateURL(e.Name, e.Version), Where: []string{c.file}, DependsOn: needs}
		if len(e.Checksum) == 64 {
			p.Hashes = []sbom.Hash{{Algorithm: "SHA-256", Value: e.Checksum}}
		}
		l.add(p)
	}
}

// elsewhere are crates that no program of Linux has: a lock is for all systems at once.
var elsewhere = lazyregexp.New(`^(windows([-_].*)?|winapi([-_].*)?|wasi|wasip[0-9].*|wit-bindgen.*|wasm-bindgen.*|js-sys|web-sys|hermit-abi|redox_.*|schannel|security-framework.*|core-foundation.*)$`)

// Compiled adds what the lock in a folder of the template has: a program of the template's own, which is compiled with
// the function as one. Where the function's lock has a version that fits, Cargo takes that, and so it is left out.
func (l *List) Compiled(files fs.FS, folder string) {
	own := Read(files, folder)
	has := map[string]bool{}
	for _, p := range l.Packages {
		has[p.Name+" "+fits(p.Version)] = true
	}
	for _, p := range own.Packages {
		p.Direct = false // by the template
		if p.Ecosystem == sbom.Crates && !has[p.Name+" "+fits(p.Version)] {
			l.Packages = append(l.Packages, p)
		}
	}
	l.Packages = sbom.Union(l.Packages)
}

// fits is what versions have in common that Cargo takes for one another: all up to the first part that is not 0.
func fits(version string) string {
	parts := strings.SplitN(version, ".", 3)
	for i, p := range parts {
		if p != "0" {
			return strings.Join(parts[:i+1], ".")
		}
	}
	return version
}
