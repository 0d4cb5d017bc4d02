package lists

import (
	"path"
	"strings"

	"fnb/internal/lazyregexp"
)

var notInName = lazyregexp.New(`[-_.]+`)

// pythonName is how Python compares the names of packages.
func pythonName(name string) string { return strings.ToLower(notInName.ReplaceAllString(name, "-")) }

var pythonNameOf = lazyregexp.New(`^\s*([A-Za-z0-9][A-Za-z0-9._-]*)`)

// A pythonProject is a pyproject.toml that was read.
type pythonProject struct {
	text
	manifest  table
	workspace *workspace // that it belongs to; nil for none

	asked map[string]bool // names of packages that it depends on; nil until they are wanted
}

// pyproject follows the path dependencies of a project, and its dependencies on members of
// its workspace.
func (f *finder) pyproject(name string, w *workspace) error {
	if f.read[name] {
		return nil
	}
	f.read[name] = true
	t, manifest, err := f.toml(name)
	if err != nil {
		return err
	}
	p := &pythonProject{text: t, manifest: manifest, workspace: w}
	for _, step := range []func(*pythonProject) error{f.pythonSources, f.pythonRequirements, f.poetryPaths, f.pythonFiles} {
		if err := step(p); err != nil {
			return err
		}
	}
	return nil
}

// requirementsOf are the requirements of a project, of all its groups.
func (p *pythonProject) requirementsOf() []string {
	all := stringsIn(at(p.manifest, "project", "dependencies"))
	for _, group := range []table{tableAt(p.manifest, "project", "optional-dependencies"), tableAt(p.manifest, "dependency-groups"), tableAt(p.manifest, "tool", "pdm", "dev-dependencies")} {
		for _, name := range sorted(group) {
			all = append(all, stringsIn(group[name])...)
		}
	}
	all = append(all, stringsIn(at(p.manifest, "build-system", "requires"))...)
	return append(all, stringsIn(at(p.manifest, "tool", "uv", "dev-dependencies"))...)
}

// pythonRequirements follows "name @ file:…", pdm's "-e file:…", and the names of members.
func (f *finder) pythonRequirements(p *pythonProject) error {
	for _, requirement := range p.requirementsOf() {
		if err := f.step(p.text); err != nil {
			return err
		}
		ref := strings.TrimSpace(strings.TrimPrefix(requirement, "-e "))
		ref = strings.ReplaceAll(ref, "{root:uri}", "file:.")
		if i := strings.Index(ref, "file:"); i >= 0 {
			if err := f.localPython(p.text, ref[i:], false); err != nil {
				return err
			}
			continue
		}
		if p.workspace == nil || strings.Contains(ref, "@") {
			continue
		}
		if m := pythonNameOf.FindStringSubmatch(ref); m != nil {
			if dir, ok := p.workspace.members[pythonName(m[1])]; ok {
				if err := f.pythonMember(dir, p.workspace); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// pythonMember takes a member of a workspace, and what it depends on.
func (f *finder) pythonMember(dir string, w *workspace) error {
	if dir != f.Handler {
		f.folders[dir] = true
	}
	return f.pyproject(path.Join(dir, "pyproject.toml"), w)
}

// pythonSources follows [tool.uv.sources].
func (f *finder) pythonSources(p *pythonProject) error {
	sources := tableAt(p.manifest, "tool", "uv", "sources")
	for _, name := range sorted(sources) {
		for _, source := range elements(sources[name]) {
			if ref := stringAt(source, "path"); ref != "" {
				if err := f.pythonPath(p.text, ref); err != nil {
					return err
				}
			}
			if member, _ := at(source, "workspace").(bool); !member {
				continue
			}
			if p.workspace == nil {
				return p.problem(name, "%s must come from the workspace, but %s", name, noWorkspace)
			}
			dir, ok := p.workspace.members[pythonName(name)]
			if !ok {
				return p.problem(name, "%s must come from the workspace, but no member of %s has this name", name, p.workspace.file)
			}
			if !p.needs(name) {
				continue
			}
			if err := f.pythonMember(dir, p.workspace); err != nil {
				return err
			}
		}
	}
	for _, ref := range stringsIn(at(p.manifest, "tool", "uv", "find-links")) {
		if !isURL(ref) {
			if err := f.pythonPath(p.text, ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// needs reports whether a project, rather than its workspace, depends on a package.
func (p *pythonProject) needs(name string) bool {
	if p.asked == nil {
		p.asked = map[string]bool{}
		for _, requirement := range p.requirementsOf() {
			if m := pythonNameOf.FindStringSubmatch(requirement); m != nil {
				p.asked[pythonName(m[1])] = true
			}
		}
	}
	return p.asked[pythonName(name)]
}

// poetryPaths follows the path dependencies of Poetry.
func (f *finder) poetryPaths(p *pythonProject) error {
	poetry := tableAt(p.manifest, "tool", "poetry")
	groups := []table{tableAt(poetry, "dependencies"), tableAt(poetry, "dev-dependencies")}
	for _, name := range sorted(tableAt(poetry, "group")) {
		groups = append(groups, tableAt(poetry, "group", name, "dependencies"))
	}
	for _, group := range groups {
		for _, dep := range sorted(group) {
			for _, one := range elements(group[dep]) {
				for _, key := range []string{"path", "file"} {
					if ref := stringAt(one, key); ref != "" {
						if err := f.pythonPath(p.text, ref); err != nil {
							return err
						}
					}
				}
			}
		}
	}
	return nil
}

// pythonFiles follows the lists of dependencies that setuptools reads from files.
func (f *finder) pythonFiles(p *pythonProject) error {
	dynamic := tableAt(p.manifest, "tool", "setuptools", "dynamic")
	files := stringsIn(at(dynamic, "dependencies", "file"))
	for _, extra := range sorted(tableAt(dynamic, "optional-dependencies")) {
		files = append(files, stringsIn(at(dynamic, "optional-dependencies", extra, "file"))...)
	}
	for _, ref := range files {
		name, folder, err := f.take(p.text, path.Dir(p.name), ref)
		if err != nil {
			return err
		}
		if !folder {
			if err := f.requirements(name); err != nil {
				return err
			}
		}
	}
	return nil
}
