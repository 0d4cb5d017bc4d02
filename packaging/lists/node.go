package lists

import (
	"maps"
	"path"
	"slices"
	"strings"

	"fnb/internal/lazyregexp"
	"fnb/schema/document"
)

// nodeFiles are the files beside a package.json that a package manager reads.
func nodeFiles() []string {
	return []string{".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "pnpm-workspace.yaml", "bunfig.toml"}
}

// nodeFolders are such folders, and the one that has patches of packages.
func nodeFolders() []string {
	return []string{".yarn/patches", ".yarn/releases", ".yarn/plugins", ".yarn/cache", "patches"}
}

// followNode adds what the lists of npm, pnpm, yarn and bun name.
func (f *finder) followNode(c choice, w *workspace) error {
	for _, dir := range slices.Compact([]string{f.root, f.Handler}) {
		for _, name := range nodeFiles() {
			f.add(path.Join(dir, name))
		}
		for _, name := range nodeFolders() {
			f.addFolder(path.Join(dir, name))
		}
		if err := f.pnpmSettings(path.Join(dir, "pnpm-workspace.yaml")); err != nil {
			return err
		}
		if manifest := path.Join(dir, "package.json"); f.has(manifest) {
			f.files[manifest] = true
			if err := f.packageJSON(manifest, w, true); err != nil {
				return err
			}
		}
	}
	if w == nil {
		return nil
	}
	if c.manager == "bun" || c.manager == "yarn" { // which compare the lock with all members
		for _, dir := range w.dirs() {
			f.add(path.Join(dir, "package.json"))
		}
	}
	return f.missingLinks(c, w)
}

// nodeSections are the sections of a package.json with dependencies.
func nodeSections() []string {
	return []string{"dependencies", "optionalDependencies", "peerDependencies", "devDependencies"}
}

// packageJSON follows the dependencies of a package that are files, folders or members of
// its workspace. Those for development count if it is the function's, or a member's.
func (f *finder) packageJSON(name string, w *workspace, dev bool) error {
	if f.read[name] {
		return nil
	}
	f.read[name] = true
	t, manifest, err := f.json(name)
	if err != nil {
		return err
	}
	for _, section := range nodeSections() {
		if section == "devDependencies" && !dev {
			continue
		}
		deps := tableAt(manifest, section)
		for _, dep := range sorted(deps) {
			spec, _ := deps[dep].(string)
			if err := f.nodeDependency(t, dep, spec, w); err != nil {
				return err
			}
		}
	}
	for _, replaced := range []any{manifest["overrides"], manifest["resolutions"], at(manifest, "pnpm", "overrides")} {
		if err := f.nodeReplaced(t, replaced, w); err != nil {
			return err
		}
	}
	for _, patched := range []table{tableAt(manifest, "patchedDependencies"), tableAt(manifest, "pnpm", "patchedDependencies")} {
		for _, dep := range sorted(patched) {
			if ref, ok := patched[dep].(string); ok {
				if _, _, err := f.take(t, path.Dir(name), ref); err != nil {
					return err
				}
			}
		}
	}
	return f.patchFolder(t, manifest)
}

var patchDir = lazyregexp.New(`--patch-dir[= ]+["']?([^\s"']+)`)

// patchFolder takes the folder that a script has patch-package read.
func (f *finder) patchFolder(t text, manifest table) error {
	scripts := tableAt(manifest, "scripts")
	for _, name := range sorted(scripts) {
		script, _ := scripts[name].(string)
		if m := patchDir.FindStringSubmatch(script); m != nil {
			if _, _, err := f.take(t, path.Dir(t.name), m[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// nodeReplaced follows what a package.json has instead of other packages, at any depth.
func (f *finder) nodeReplaced(t text, v any, w *workspace) error {
	switch x := v.(type) {
	case string:
		if !strings.HasPrefix(x, "workspace:") {
			return f.nodeDependency(t, "", x, w)
		}
	case table:
		for _, key := range sorted(x) {
			if err := f.nodeReplaced(t, x[key], w); err != nil {
				return err
			}
		}
	}
	return nil
}

// nodeDependency follows one dependency: its name, and what package.json says of it.
func (f *finder) nodeDependency(t text, dep, spec string, w *workspace) error {
	if err := f.step(t); err != nil {
		return err
	}
	base := path.Dir(t.name)
	kind, rest, _ := strings.Cut(spec, ":")
	switch {
	case slices.Contains([]string{"file", "link", "portal"}, kind):
		rest, _, _ = strings.Cut(rest, "#")
		rest, _, _ = strings.Cut(rest, "::")
		return f.nodePath(t, base, strings.TrimPrefix(rest, "//"), w)
	case kind == "patch":
		_, file, ok := strings.Cut(rest, "#")
		file, _, _ = strings.Cut(file, "::")
		if !ok || strings.HasPrefix(file, "builtin<") || strings.HasPrefix(file, "optional!builtin<") {
			return nil
		}
		if below, ok := strings.CutPrefix(file, "~/"); ok {
			base, file = f.root, below
		}
		_, _, err := f.take(t, base, file)
		return err
	case strings.HasPrefix(spec, "./"), strings.HasPrefix(spec, "../"):
		return f.nodePath(t, base, spec, w)
	case kind == "workspace":
		return f.nodeWorkspace(t, dep, rest, w)
	case w == nil, strings.Contains(spec, ":") || strings.Contains(spec, "/"):
		return nil
	}
	if dir, ok := w.members[dep]; ok {
		return f.nodeMember(dir, w)
	}
	return nil
}

// nodeWorkspace follows "workspace:…": a range, a name and a range, or a path.
func (f *finder) nodeWorkspace(t text, dep, rest string, w *workspace) error {
	if strings.HasPrefix(rest, "./") || strings.HasPrefix(rest, "../") {
		return f.nodePath(t, path.Dir(t.name), rest, w)
	}
	if i := strings.LastIndex(rest, "@"); i > 0 {
		dep = rest[:i]
	}
	if w == nil {
		return t.problem(`"`+dep+`"`, "%s must come from the workspace, but %s", dep, noWorkspace)
	}
	dir, ok := w.members[dep]
	if !ok {
		return t.problem(`"`+dep+`"`, "%s must come from the workspace, but no member of %s has this name", dep, w.file)
	}
	return f.nodeMember(dir, w)
}

// nodeMember takes a member of a workspace, and what it depends on.
func (f *finder) nodeMember(dir string, w *workspace) error {
	if dir != f.Handler {
		f.folders[dir] = true
	}
	return f.packageJSON(path.Join(dir, "package.json"), w, true)
}

// nodePath takes a folder or an archive, and reads what the folder names.
func (f *finder) nodePath(t text, base, ref string, w *workspace) error {
	name, err := f.resolve(t, base, ref, ref)
	if err != nil {
		return err
	}
	if w.has(name) {
		return f.nodeMember(name, w)
	}
	name, folder, err := f.take(t, base, ref)
	if err != nil || !folder {
		return err
	}
	if manifest := path.Join(name, "package.json"); f.has(manifest) {
		return f.packageJSON(manifest, w, false)
	}
	return nil
}

// missingLinks refuses a lock that links to a member which is not there: its name would be
// asked of the registry.
func (f *finder) missingLinks(c choice, w *workspace) error {
	if c.lock == "" || f.Relock || path.Base(c.lock) != "package-lock.json" {
		return nil
	}
	t, err := f.open(c.lock, maxLock)
	if err != nil {
		return err
	}
	var lock struct {
		Packages map[string]struct {
			Link     bool   `json:"link"`
			Resolved string `json:"resolved"`
		} `json:"packages"`
	}
	if err := t.unmarshal(t.data, &lock, "a lock of npm"); err != nil {
		return err
	}
	for _, name := range sorted(f.asked(w)) {
		p, ok := lock.Packages["node_modules/"+name]
		if _, member := w.members[name]; ok && p.Link && !member {
			return t.problem(`"node_modules/`+name+`"`, "%s is a member of the workspace at %s, but there is no such folder", name, p.Resolved)
		}
	}
	return nil
}

// asked are the names of the packages that the members which were followed depend on.
func (f *finder) asked(w *workspace) table {
	names := table{}
	for _, dir := range append(w.dirs(), w.dir, f.Handler) {
		manifest := path.Join(dir, "package.json")
		if !f.read[manifest] {
			continue
		}
		_, v, err := f.json(manifest)
		if err != nil {
			continue // it was read before
		}
		for _, section := range nodeSections() {
			for dep := range tableAt(v, section) {
				names[dep] = true
			}
		}
	}
	return names
}

// A pnpmFile is what fnb reads of a pnpm-workspace.yaml.
type pnpmFile struct {
	packages []string
	patched  map[string]string
	replaced map[string]string
}

// pnpm reads a pnpm-workspace.yaml.
func (f *finder) pnpm(name string) (text, pnpmFile, error) {
	var p pnpmFile
	t, err := f.open(name, maxManifest)
	if err != nil {
		return t, p, err
	}
	r := document.Reader{File: name, Raw: true}
	if v, ok := r.Document(t.data); ok {
		entries, _ := r.Entries(v)
		for _, e := range entries {
			switch e.Key {
			case "packages":
				r.Strs(&p.packages, nil)(e.Value)
			case "patchedDependencies":
				r.StrMap(&p.patched)(e.Value)
			case "overrides":
				r.StrMap(&p.replaced)(e.Value)
			}
		}
	}
	if len(r.Problems) > 0 {
		return t, p, document.Join(r.Problems)
	}
	return t, p, nil
}

// pnpmSettings follows what a pnpm-workspace.yaml names beside the members.
func (f *finder) pnpmSettings(name string) error {
	if !f.has(name) {
		return nil
	}
	t, p, err := f.pnpm(name)
	if err != nil {
		return err
	}
	for _, dep := range slices.Sorted(maps.Keys(p.patched)) {
		if _, _, err := f.take(t, path.Dir(name), p.patched[dep]); err != nil {
			return err
		}
	}
	for _, dep := range slices.Sorted(maps.Keys(p.replaced)) {
		if err := f.nodeReplaced(t, p.replaced[dep], nil); err != nil {
			return err
		}
	}
	return nil
}
