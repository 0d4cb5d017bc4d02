// Package locks reads what package managers have written down: [Read] the locks and manifests of a
// folder, and [Join] puts what they say to the packages that were found in an image.
//
// They are foreign data: what is read is bounded, and a file that cannot be read is named in
// [List.Unread] and left out.
package locks

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"fnb/internal/plain"
	"fnb/sbom"
)

const (
	maxLock     = 64 << 20
	maxManifest = 4 << 20
	maxPackages = 200_000
)

// A List is what the locks of a folder say.
type List struct {
	Packages []sbom.Package // what is for developers alone is none of them
	Unread   []string       // files that cannot be read, and why

	direct map[name]bool
	cargo  cargo // of the folder that is read
}

// A name is that of a package in its ecosystem.
type name struct{ ecosystem, name string }

// A reader reads one kind of file.
type reader func(l *List, file string, data []byte) error

// readers has those of all files that are known, by their names.
func readers() map[string]reader {
	return map[string]reader{
		"package-lock.json": npmLock, "npm-shrinkwrap.json": npmLock, "yarn.lock": yarnLock, "pnpm-lock.yaml": pnpmLock, "bun.lock": bunLock, "deno.lock": denoLock,
		"uv.lock": pythonLock, "poetry.lock": pythonLock, "pdm.lock": pythonLock, "pylock.toml": pythonLock, "Pipfile.lock": pipfileLock, "Cargo.lock": cargoLock, "Cargo.toml": cargoManifest,
		"requirements.txt": requirements, "pyproject.toml": pyproject, "package.json": packageJSON, "go.mod": goMod, "pom.xml": pom,
	}
}

// Read reads the locks and manifests that are in folders of files, not below them.
func Read(files fs.FS, folders ...string) List {
	l := List{direct: map[name]bool{}}
	all := readers()
	for _, folder := range folders {
		l.cargo = cargo{}
		for _, base := range slices.Sorted(maps.Keys(all)) {
			file := path.Join(folder, base)
			most := int64(maxLock)
			if !strings.Contains(base, "lock") {
				most = maxManifest
			}
			data, err := read(files, file, most)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = all[base](&l, file, data)
			}
			if err != nil {
				l.Unread = append(l.Unread, plain.Path(file)+": "+plain.Short(err.Error()))
			}
		}
		l.cargo.add(&l)
	}
	l.Packages = sbom.Union(l.Packages)
	for i := range l.Packages {
		p := &l.Packages[i]
		p.Direct = p.Direct || l.direct[name{p.Ecosystem, p.Name}]
	}
	return l
}

func read(files fs.FS, file string, most int64) (data []byte, err error) {
	f, err := files.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("has more than the %d bytes that are read", most)
	}
	return data, err
}

// add adds a package that a lock has.
func (l *List) add(p sbom.Package) {
	if len(l.Packages) >= maxPackages || p.Name == "" || p.Version == "" || plain.Line(p.Name) != p.Name || plain.Line(p.Version) != p.Version || len(p.Name)+len(p.Version) > 500 {
		return
	}
	p.Evidence = sbom.Locked
	l.Packages = append(l.Packages, p)
}

// asks notes that the function itself asks for a package.
func (l *List) asks(ecosystem, of string) { l.direct[name{ecosystem, of}] = true }

// Join returns the packages of an image together with what a list says of them. What the list has
// and the image has not is left out, as it is for developers or for other machines; but where nothing
// of an ecosystem is found below home, the function's folder in the image, it is in a bundle or a
// program, and the list is all that is known of it.
func Join(installed []sbom.Package, l List, home string) []sbom.Package {
	there, visible := map[string]bool{}, map[string]bool{}
	if home = strings.Trim(home, "/"); home != "" {
		home += "/"
	}
	for _, p := range installed {
		there[p.PURL] = true
		for _, w := range p.Where {
			if strings.HasPrefix(w, home) {
				visible[p.Ecosystem] = true
			}
		}
	}
	out := slices.Clone(installed)
	for _, p := range l.Packages {
		if !there[p.PURL] && visible[p.Ecosystem] {
			continue
		}
		out = append(out, p)
	}
	out = sbom.Union(out)
	for i := range out {
		p := &out[i]
		p.Direct = p.Direct || l.direct[name{p.Ecosystem, p.Name}]
	}
	return out
}
