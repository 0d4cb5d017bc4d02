package lists

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// noWorkspace is why a member cannot be found.
const noWorkspace = "the handler is in no workspace between its folder and that of the stack file"

// A workspace is a folder whose packages one lock pins.
type workspace struct {
	dir     string            // of Search.Files
	file    string            // that says so
	members map[string]string // folder of each member, by its name
	folders []string          // of the members, sorted
	// managers are those that understand it; nil is all of the ecosystem.
	managers []string
	always   bool // a member is installed from it even if it has a lock of its own
	needed   bool // the handler depends on another member
}

// dirs are the folders of the members, sorted.
func (w *workspace) dirs() []string {
	if w == nil {
		return nil
	}
	return slices.Clip(w.folders)
}

// has reports whether a folder is that of a member.
func (w *workspace) has(dir string) bool {
	if w == nil {
		return false
	}
	_, found := slices.BinarySearch(w.folders, dir)
	return found
}

// workspace finds the nearest workspace that the handler is a member or the root of; nil if
// there is none.
func (f *finder) workspace(ecosystem string) (*workspace, error) {
	look := map[string]func(dir string) (*workspace, error){"npm": f.nodeWorkspaceAt, "pypi": f.pythonWorkspaceAt, "cargo": f.cargoWorkspaceAt}[ecosystem]
	if look == nil {
		return nil, nil
	}
	for dir := f.Handler; ; dir = path.Dir(dir) {
		w, err := look(dir)
		if err != nil {
			return nil, err
		}
		if w != nil && (dir == f.Handler || w.has(f.Handler)) {
			return w, nil
		}
		if dir == "." {
			return nil, nil
		}
	}
}

// expand returns the folders below dir that patterns match and that have a manifest,
// sorted. A pattern behind "!" takes back.
func (f *finder) expand(t text, dir, manifest string, patterns []string) ([]string, error) {
	found := map[string]bool{}
	for _, pattern := range patterns {
		pattern, exclude := strings.CutPrefix(pattern, "!")
		all, err := braces(t, pattern)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			p = path.Clean(strings.TrimPrefix(p, "./"))
			if p == ".." || strings.HasPrefix(p, "../") || path.IsAbs(p) {
				continue // above the workspace's folder, where nothing is looked for
			}
			if exclude {
				if err := f.compare(t, len(found)); err != nil {
					return nil, err
				}
				for name := range found {
					if matches(strings.Split(p, "/"), strings.Split(below(dir, name), "/")) {
						delete(found, name)
					}
				}
				continue
			}
			if err := f.glob(t, dir, strings.Split(p, "/"), manifest, found); err != nil {
				return nil, err
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// braces replaces "{a,b}" by each of its parts.
func braces(t text, pattern string) ([]string, error) {
	const most = 256
	all := []string{pattern}
	for range most {
		i := slices.IndexFunc(all, func(p string) bool {
			open := strings.Index(p, "{")
			return open >= 0 && strings.Contains(p[open:], "}")
		})
		if i < 0 {
			return all, nil
		}
		p := all[i]
		open := strings.Index(p, "{")
		end := open + strings.Index(p[open:], "}")
		all = slices.Delete(all, i, i+1)
		for part := range strings.SplitSeq(p[open+1:end], ",") {
			if all = append(all, p[:open]+part+p[end+1:]); len(all) > most {
				return nil, t.problem(pattern, "%.80s stands for more than %d patterns", pattern, most)
			}
		}
	}
	return nil, t.problem(pattern, "%.80s stands for more than %d patterns", pattern, most)
}

// matches reports whether the parts of a path match those of a pattern.
func matches(pattern, name []string) bool {
	// at[i] says whether the first i parts of the pattern match what was read of the name.
	at := make([]bool, len(pattern)+1)
	at[0] = true
	open := func() {
		for i, p := range pattern {
			at[i+1] = at[i+1] || p == "**" && at[i]
		}
	}
	open()
	for _, part := range name {
		next := make([]bool, len(pattern)+1)
		for i, p := range pattern {
			switch {
			case p == "**":
				next[i+1] = at[i+1] || at[i]
			case at[i]:
				ok, err := path.Match(p, part)
				next[i+1] = ok && err == nil
			}
		}
		at = next
		open()
	}
	return at[len(pattern)]
}

// glob adds the folders below dir that the parts of a pattern match.
func (f *finder) glob(t text, dir string, pattern []string, manifest string, found map[string]bool) error {
	if err := f.step(t); err != nil {
		return err
	}
	if len(pattern) == 0 || len(pattern) == 1 && pattern[0] == "." {
		if f.has(path.Join(dir, manifest)) {
			found[dir] = true
		}
		return nil
	}
	first, rest := pattern[0], pattern[1:]
	if first == "**" {
		if err := f.glob(t, dir, rest, manifest, found); err != nil {
			return err
		}
		rest = pattern
	} else if !strings.ContainsAny(first, `*?[\`) {
		if next := path.Join(dir, first); f.hasFolder(next) {
			return f.glob(t, next, rest, manifest, found)
		}
		return nil
	}
	list := f.foldersIn(dir)
	if err := f.compare(t, len(list)); err != nil {
		return err
	}
	for _, name := range list {
		if ok, err := path.Match(first, name); first != "**" && (!ok || err != nil) {
			continue
		}
		if err := f.glob(t, path.Join(dir, name), rest, manifest, found); err != nil {
			return err
		}
	}
	return nil
}

// foldersIn returns the names of the folders in one that members may be in; it is read once.
func (f *finder) foldersIn(dir string) []string {
	if names, known := f.listed[dir]; known {
		return names
	}
	var names []string
	list, _ := fs.ReadDir(f.Files, dir) // whatever cannot be read, no member is in it
	for _, d := range list {
		if d.IsDir() && !ofTools(d.Name()) {
			names = append(names, d.Name())
		}
	}
	f.listed[dir] = names
	return names
}

// ofTools reports whether a folder of this name is made by tools, and has no member.
func ofTools(name string) bool {
	return slices.Contains([]string{"node_modules", ".git", ".venv", "target", "__pycache__"}, name)
}

// nodeWorkspaceAt reads the workspace of npm, yarn, bun or pnpm whose root is a folder.
func (f *finder) nodeWorkspaceAt(dir string) (*workspace, error) {
	w := &workspace{dir: dir}
	var t text
	var patterns []string
	if name := path.Join(dir, "package.json"); f.has(name) {
		read, manifest, err := f.json(name)
		if err != nil {
			return nil, err
		}
		t, patterns, w.file, w.managers = read, stringsIn(manifest["workspaces"]), name, []string{"npm", "yarn", "bun"}
		if len(patterns) == 0 {
			patterns = stringsIn(at(manifest, "workspaces", "packages"))
		}
	}
	if name := path.Join(dir, "pnpm-workspace.yaml"); f.has(name) {
		pnpm, p, err := f.pnpm(name)
		if err != nil {
			return nil, err
		}
		if len(p.packages) > 0 && (len(patterns) == 0 || f.has(path.Join(dir, "pnpm-lock.yaml"))) { // it may have both
			t, patterns, w.file, w.managers = pnpm, p.packages, name, []string{"pnpm"}
		}
	}
	if len(patterns) == 0 {
		return nil, nil
	}
	return w, f.fill(w, t, patterns, memberKind{"package.json", f.json, func(manifest table) (string, []string) {
		var deps []string
		for _, section := range nodeSections() {
			deps = append(deps, sorted(tableAt(manifest, section))...)
		}
		return stringAt(manifest, "name"), deps
	}})
}

// pythonWorkspaceAt reads the workspace of uv whose root is a folder.
func (f *finder) pythonWorkspaceAt(dir string) (*workspace, error) {
	name := path.Join(dir, "pyproject.toml")
	if !f.has(name) {
		return nil, nil
	}
	t, manifest, err := f.toml(name)
	if err != nil {
		if dir == f.Handler {
			return nil, nil // following it says so, if it counts
		}
		return nil, err
	}
	patterns := stringsIn(at(manifest, "tool", "uv", "workspace", "members"))
	if len(patterns) == 0 {
		return nil, nil
	}
	for _, p := range stringsIn(at(manifest, "tool", "uv", "workspace", "exclude")) {
		patterns = append(patterns, "!"+p)
	}
	w := &workspace{dir: dir, file: name, managers: []string{"uv"}}
	return w, f.fill(w, t, append(patterns, "."), memberKind{"pyproject.toml", f.toml, func(manifest table) (string, []string) {
		var deps []string
		for _, requirement := range (&pythonProject{manifest: manifest}).requirementsOf() {
			if m := pythonNameOf.FindStringSubmatch(requirement); m != nil {
				deps = append(deps, pythonName(m[1]))
			}
		}
		return pythonName(stringAt(manifest, "project", "name")), deps
	}})
}

// cargoWorkspaceAt reads the workspace of cargo whose root is a folder.
func (f *finder) cargoWorkspaceAt(dir string) (*workspace, error) {
	name := path.Join(dir, "Cargo.toml")
	if !f.has(name) {
		return nil, nil
	}
	t, manifest, err := f.toml(name)
	if err != nil {
		return nil, err
	}
	said, ok := manifest["workspace"].(table)
	if !ok {
		return nil, nil
	}
	patterns := stringsIn(said["members"])
	for _, p := range stringsIn(said["exclude"]) {
		patterns = append(patterns, "!"+p, "!"+path.Join(p, "**"))
	}
	w := &workspace{dir: dir, file: name, always: true}
	return w, f.fill(w, t, patterns, memberKind{"Cargo.toml", f.toml, func(manifest table) (string, []string) {
		return stringAt(manifest, "package", "name"), sorted(tableAt(manifest, "dependencies"))
	}})
}

// A memberKind is what the members of a workspace are described by.
type memberKind struct {
	manifest string
	decode   func(name string) (text, table, error)
	read     func(table) (name string, deps []string)
}

// fill finds the members of a workspace.
func (f *finder) fill(w *workspace, t text, patterns []string, kind memberKind) error {
	dirs, err := f.expand(t, w.dir, kind.manifest, patterns)
	if err != nil {
		return err
	}
	w.members, w.folders = map[string]string{}, dirs
	var needs []string
	for _, dir := range dirs {
		t, manifest, err := kind.decode(path.Join(dir, kind.manifest))
		if err != nil {
			return err
		}
		name, deps := kind.read(manifest)
		if dir == f.Handler {
			needs = deps
		}
		if name == "" {
			name = " " + dir // which nobody depends on
		}
		if other, twice := w.members[name]; twice {
			return t.problem(name, "%s is also the name of %s", name, path.Join(other, kind.manifest))
		}
		w.members[name] = dir
	}
	w.needed = slices.ContainsFunc(needs, func(dep string) bool { _, ok := w.members[dep]; return ok })
	return nil
}
