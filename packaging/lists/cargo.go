package lists

import (
	"path"
	"strings"
)

// followCargo adds what the manifests of cargo name. Members that the function does not
// depend on are there by their manifests, which cargo compares the lock with, and by empty
// sources, without which a manifest is none.
func (f *finder) followCargo(w *workspace) error {
	for dir := f.Handler; ; dir = path.Dir(dir) {
		for _, name := range []string{".cargo/config.toml", ".cargo/config", "rust-toolchain.toml", "rust-toolchain"} {
			f.add(path.Join(dir, name))
		}
		if err := f.cargoConfig(dir); err != nil {
			return err
		}
		if dir == f.root || dir == "." {
			break
		}
	}
	manifest := path.Join(f.Handler, "Cargo.toml")
	if w == nil {
		return f.cargo(manifest, nil)
	}
	root := path.Join(w.dir, "Cargo.toml")
	f.files[root] = true
	if err := f.cargo(manifest, w); err != nil {
		return err
	}
	if err := f.cargoPatches(root); err != nil {
		return err
	}
	if w.dir != f.Handler {
		if err := f.cargoStub(root); err != nil {
			return err
		}
	}
	for _, dir := range w.dirs() {
		member := path.Join(dir, "Cargo.toml")
		if dir == f.Handler || f.covered(dir) || !f.add(member) {
			continue
		}
		if err := f.cargoStub(member); err != nil {
			return err
		}
	}
	return nil
}

// cargoConfig takes the folders of vendored packages.
func (f *finder) cargoConfig(dir string) error {
	for _, name := range []string{".cargo/config.toml", ".cargo/config"} {
		file := path.Join(dir, name)
		if !f.has(file) {
			continue
		}
		t, config, err := f.toml(file)
		if err != nil {
			return err
		}
		sources := tableAt(config, "source")
		for _, source := range sorted(sources) {
			for _, key := range []string{"directory", "local-registry"} {
				if ref := stringAt(sources, source, key); ref != "" {
					if _, _, err := f.take(t, dir, ref); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	return nil
}

// cargo follows the path dependencies of a manifest.
func (f *finder) cargo(name string, w *workspace) error {
	if f.read[name] || !f.has(name) {
		return nil
	}
	f.read[name] = true
	t, manifest, err := f.toml(name)
	if err != nil {
		return err
	}
	targets := []any{manifest}
	for _, target := range sorted(tableAt(manifest, "target")) {
		targets = append(targets, at(manifest, "target", target))
	}
	for _, target := range targets {
		for _, section := range []string{"dependencies", "dev-dependencies", "build-dependencies"} {
			deps := tableAt(target, section)
			for _, dep := range sorted(deps) {
				if err := f.cargoDependency(t, dep, deps[dep], w); err != nil {
					return err
				}
			}
		}
	}
	return f.cargoPatched(t, manifest)
}

// cargoDependency follows one dependency, if it is a folder.
func (f *finder) cargoDependency(t text, dep string, v any, w *workspace) error {
	if err := f.step(t); err != nil {
		return err
	}
	if inherited, _ := at(v, "workspace").(bool); inherited {
		if w == nil {
			return t.problem(dep, "%s must come from the workspace, but %s", dep, noWorkspace)
		}
		root, manifest, err := f.toml(path.Join(w.dir, "Cargo.toml"))
		if err != nil {
			return err
		}
		shared, ok := tableAt(manifest, "workspace", "dependencies")[dep]
		if !ok {
			return t.problem(dep, "%s must come from the workspace, but %s has no such dependency", dep, root.name)
		}
		return f.cargoPath(root, stringAt(shared, "path"), w)
	}
	return f.cargoPath(t, stringAt(v, "path"), w)
}

// cargoPath takes the folder of a package, and what that depends on.
func (f *finder) cargoPath(t text, ref string, w *workspace) error {
	if ref == "" {
		return nil
	}
	name, err := f.resolve(t, path.Dir(t.name), ref, ref)
	if err != nil {
		return err
	}
	manifest := path.Join(name, "Cargo.toml")
	if !f.has(manifest) {
		return t.problem(ref, "%s has no Cargo.toml", ref)
	}
	if name != f.Handler {
		f.folders[name] = true
	}
	return f.cargo(manifest, w)
}

// cargoPatches follows what a workspace's root has in place of other packages.
func (f *finder) cargoPatches(name string) error {
	t, manifest, err := f.toml(name)
	if err != nil {
		return err
	}
	return f.cargoPatched(t, manifest)
}

func (f *finder) cargoPatched(t text, manifest table) error {
	all := []table{tableAt(manifest, "replace")}
	for _, registry := range sorted(tableAt(manifest, "patch")) {
		all = append(all, tableAt(manifest, "patch", registry))
	}
	for _, patches := range all {
		for _, dep := range sorted(patches) {
			if err := f.cargoPath(t, stringAt(patches, dep, "path"), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// cargoStub names the sources that a manifest says there are.
func (f *finder) cargoStub(name string) error {
	t, manifest, err := f.toml(name)
	if err != nil {
		return err
	}
	if len(tableAt(manifest, "package")) == 0 {
		return nil
	}
	stub := func(ref string) {
		place := path.Join(path.Dir(name), ref)
		if Inside(path.Dir(name), place) && place != path.Dir(name) && !strings.HasPrefix(place, "../") {
			f.empty[place] = true
		}
	}
	stub("src/lib.rs")
	if ref := stringAt(manifest, "lib", "path"); ref != "" {
		stub(ref)
	}
	for _, kind := range []struct{ section, dir string }{{"bin", "src/bin"}, {"example", "examples"}, {"test", "tests"}, {"bench", "benches"}} {
		for _, target := range elements(manifest[kind.section]) {
			if err := f.step(t); err != nil {
				return err
			}
			if ref := stringAt(target, "path"); ref != "" {
				stub(ref)
			} else if own := stringAt(target, "name"); own != "" {
				stub(path.Join(kind.dir, own+".rs"))
			}
		}
	}
	if build := stringAt(manifest, "package", "build"); build != "" {
		stub(build)
	}
	return nil
}
