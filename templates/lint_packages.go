package templates

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"fnb/schema"
	"fnb/schema/languages"
	"fnb/schema/words"
)

// packages checks that what the package lists name is there, or can be.
func (l *linter) packages() {
	for _, p := range l.manifest.Packages {
		for _, name := range []string{p.Manifest, p.Lock} {
			if name == "" {
				continue
			}
			info, err := fs.Stat(l.view, name)
			switch {
			case err != nil && (name == p.Lock || l.listed(p.Ecosystem)):
				// A lock is made with the user's first dependency, and one list of several begins.
			case err != nil:
				l.add(SeverityError, PartPackages, ManifestName, l.line(name), "packages: %s is missing", name)
			case !info.Mode().IsRegular():
				l.add(SeverityError, PartPackages, ManifestName, l.line(name), "packages: %s is not a file", name)
			}
		}
		l.managers(p)
		for _, name := range slices.Concat(p.Files, slices.Sorted(maps.Values(p.Locks))) {
			if !strings.HasPrefix(name, l.folder+"/") {
				l.add(SeverityError, PartPackages, ManifestName, l.line(name), "packages: %s is not below %s/, so that no handler has it", name, l.folder)
			}
		}
	}
}

// listed reports whether the starter has a list of an ecosystem.
func (l *linter) listed(ecosystem string) bool {
	return slices.ContainsFunc(l.manifest.Packages, func(p schema.PackageList) bool {
		return p.Ecosystem == ecosystem && hasFile(l.view, p.Manifest)
	})
}

// managers checks the words for package managers.
func (l *linter) managers(p schema.PackageList) {
	language, ok := languages.ByEcosystem(p.Ecosystem)
	if !ok {
		return // one that fnb does not know
	}
	var known []string
	for _, m := range language.Managers {
		known = append(known, m.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Locks)) {
		if !slices.Contains(known, name) {
			l.add(SeverityError, PartPackages, ManifestName, l.line(name+":"), "packages: locks: %s is not a package manager of %s; it has %s", name, p.Ecosystem, strings.Join(known, ", "))
		}
	}
}

// installs checks that a Dockerfile installs from the folder packages, by the manager and
// for the member that it is told.
func (l *linter) installs(d *Dockerfile) {
	var managers []string
	workspaces := false
	for _, p := range l.manifest.Packages {
		if !p.Separate() {
			continue
		}
		managers = slices.AppendSeq(managers, maps.Keys(p.Locks))
		if own := languages.DefaultManager(p.Ecosystem, path.Base(p.Manifest), path.Base(p.Lock)); own != "" {
			managers = append(managers, own)
		}
		workspaces = workspaces || slices.Contains([]string{"npm", "cargo"}, p.Ecosystem) || p.Locks["uv"] != ""
	}
	slices.Sort(managers)
	managers = slices.Compact(managers)
	if len(managers) == 0 {
		return
	}
	line := l.line("packages")
	if _, err := fs.Stat(l.view, words.PackagesFolder); err == nil {
		l.add(SeverityError, PartPackages, words.PackagesFolder, 0, "has the name of a folder that fnb makes: give it another name")
	}
	declares := func(name string) bool {
		return slices.ContainsFunc(d.args, func(a argument) bool { return a.name == name })
	}
	if len(managers) > 1 && !declares(words.PackageManagerArg) {
		l.add(SeverityWarning, PartPackages, ManifestName, line, "packages: %s can be the package manager, but %s has no ARG %s that says which", strings.Join(managers, ", "), d.File, words.PackageManagerArg)
	}
	if workspaces && !declares(words.WorkspaceMemberArg) {
		l.add(SeverityWarning, PartPackages, ManifestName, line, "packages: %s has no ARG %s, so that a member of a workspace cannot be built", d.File, words.WorkspaceMemberArg)
	}
	if !slices.ContainsFunc(d.stages, func(s stage) bool {
		return slices.ContainsFunc(s.copies, func(c copied) bool {
			return slices.ContainsFunc(c.sources, func(source string) bool { return l.isPackages(path.Join(".", source)) || path.Clean(source) == "." })
		})
	}) {
		l.add(SeverityWarning, PartPackages, ManifestName, line, "packages: no step of %s copies packages/, where files and locks are", d.File)
	}
}
