package lists

import (
	"io/fs"
	"maps"
	"path"
	"slices"

	"fnb/schema/languages"
)

// Around returns the files and folders beside a handler's that its packages may be
// installed from, sorted: by any package manager that knows workspaces, whichever a template
// installs with. Most handlers have none, which is found out quickly.
func Around(files fs.FS, handler string) ([]string, error) {
	var all []string
	for _, ecosystem := range []string{"npm", "pypi", "cargo"} {
		if !rooted(files, handler, ecosystem) {
			continue
		}
		f := newFinder(Search{Files: files, Handler: handler})
		if err := f.around(ecosystem); err != nil {
			return nil, err
		}
		for _, name := range slices.Concat(slices.Collect(maps.Keys(f.files)), slices.Collect(maps.Keys(f.folders))) {
			if !Inside(handler, name) {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// around adds what any manager of an ecosystem installs from in the handler's workspace.
func (f *finder) around(ecosystem string) error {
	w, err := f.workspace(ecosystem)
	if err != nil || w == nil || w.dir == f.Handler {
		return err
	}
	f.root = w.dir
	for _, name := range Names(ecosystem, nil) {
		f.add(path.Join(w.dir, name))
	}
	language, _ := languages.ByEcosystem(ecosystem)
	for _, m := range language.Managers {
		if err := f.follow(ecosystem, choice{manager: m.Name}, w); err != nil {
			return err
		}
	}
	return nil
}

// rooted reports whether there is a manifest above a handler that may be a workspace's.
func rooted(files fs.FS, handler, ecosystem string) bool {
	names := map[string][]string{"npm": {"package.json", "pnpm-workspace.yaml"}, "pypi": {"pyproject.toml"}, "cargo": {"Cargo.toml"}}[ecosystem]
	for dir := handler; dir != "."; {
		dir = path.Dir(dir)
		for _, name := range names {
			if _, err := fs.Stat(files, path.Join(dir, name)); err == nil {
				return true
			}
		}
	}
	return false
}
