package lists

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"fnb/schema"
	"fnb/schema/document"
	"fnb/schema/languages"
)

// Default returns the package manager that installs the packages of a list without a lock,
// and writes the lock that the list names; "" if fnb knows none.
func Default(l schema.PackageList) string {
	return languages.DefaultManager(l.Ecosystem, path.Base(l.Manifest), path.Base(l.Lock))
}

// Managers returns the package managers that a template's list can be installed by, its
// default first.
func Managers(l schema.PackageList) []string {
	all := slices.Sorted(maps.Keys(l.Locks))
	if own := Default(l); own != "" {
		all = slices.DeleteFunc(all, func(m string) bool { return m == own })
		all = slices.Insert(all, 0, own)
	}
	return all
}

// A LockError is a lock, or a package manager, that the template cannot use.
type LockError struct {
	File     string // of [Search.Files]
	Line     int    // 0 if all of the file is meant
	Lock     bool   // it is a lock, and otherwise a manifest that names the manager
	Manager  string
	Managers []string // those that the template installs with
}

func (e *LockError) Error() string {
	place := e.File
	if e.Line > 0 {
		place = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	with := "it installs no packages of this kind"
	if len(e.Managers) > 0 {
		with = "it installs with " + strings.Join(e.Managers, ", ")
	}
	if e.Lock {
		return fmt.Sprintf("%s: the template cannot use this lock of %s: %s", place, e.Manager, with)
	}
	return fmt.Sprintf("%s: the template cannot install with %s: %s", place, e.Manager, with)
}

// A SeveralError is a handler with the locks of two package managers.
type SeveralError struct {
	Locks []string // two, of [Search.Files]
	// Manifest is a package.json whose packageManager would decide; "" if there is none.
	Manifest string
}

func (e *SeveralError) Error() string {
	return fmt.Sprintf("%s and %s are locks of two package managers; keep one of them", e.Locks[0], e.Locks[1])
}

// A ContradictionError is a package.json that names another package manager than its lock is
// of.
type ContradictionError struct {
	Manifest string // of [Search.Files]
	Said     string // the manager that it names
	Lock     string // of [Search.Files]
	Manager  string // whose lock that is
}

func (e *ContradictionError) Error() string {
	return fmt.Sprintf("%s names %s, and %s is a lock of %s", e.Manifest, e.Said, e.Lock, e.Manager)
}

// A choice is by what the packages of one ecosystem are installed.
type choice struct {
	manager     string
	lock        string // of Search.Files; "" is none
	inWorkspace bool
}

// A chooser decides which package manager installs the packages of one ecosystem.
type chooser struct {
	*finder
	ecosystem string
}

// A foundLock is a lock that is there.
type foundLock struct {
	manager string
	file    string // of Search.Files
}

// own are the template's lists of the ecosystem.
func (c chooser) own() []schema.PackageList {
	return slices.DeleteFunc(slices.Clone(c.Lists), func(l schema.PackageList) bool { return l.Ecosystem != c.ecosystem })
}

// manifests are the names of the ecosystem's manifests.
func (c chooser) manifests() []string {
	var all []string
	for _, l := range c.own() {
		all = append(all, l.Manifest)
	}
	language, _ := languages.ByEcosystem(c.ecosystem)
	for _, l := range language.Lists {
		all = append(all, l.Manifest)
	}
	for _, m := range language.Managers {
		all = append(all, m.Manifest)
	}
	return all
}

// managers are those that the template installs with.
func (c chooser) managers() []string {
	var all []string
	for _, l := range c.own() {
		for _, m := range Managers(l) {
			if !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	return all
}

// locks returns the locks in a folder that the template can use, the first of each manager.
func (c chooser) locks(dir string) []foundLock {
	var all []foundLock
	look := func(manager, file string) {
		if file != "" && c.has(path.Join(dir, file)) && !slices.ContainsFunc(all, func(l foundLock) bool { return l.manager == manager }) {
			all = append(all, foundLock{manager, path.Join(dir, file)})
		}
	}
	language, _ := languages.ByEcosystem(c.ecosystem)
	for _, l := range c.own() {
		for _, name := range Managers(l) {
			for _, m := range language.Managers { // a second name of the lock, such as npm-shrinkwrap.json
				if m.Name == name {
					for _, file := range m.Locks {
						look(name, file)
					}
				}
			}
			look(name, l.Locks[name])
		}
		look(Default(l), l.Lock)
	}
	return all
}

// choose decides by the lock that is there, by what package.json says, and by the manifest.
func (c chooser) choose(w *workspace) (choice, error) {
	locks := c.locks(c.Handler)
	if err := c.unusable(c.Handler, languages.Locks()); err != nil {
		return choice{}, err
	}
	dir := c.Handler
	if w != nil && w.dir != c.Handler && (len(locks) == 0 || w.always || w.needed) {
		dir = w.dir
		locks = slices.DeleteFunc(c.locks(dir), func(l foundLock) bool { return w.managers != nil && !slices.Contains(w.managers, l.manager) })
		if len(locks) == 0 {
			if err := c.unusable(dir, Names(c.ecosystem, nil)); err != nil {
				return choice{}, err
			}
		}
	}
	out, err := c.among(dir, locks, w)
	out.inWorkspace = dir != c.Handler
	return out, err
}

// among decides between the locks of the folder that has them.
func (c chooser) among(dir string, locks []foundLock, w *workspace) (choice, error) {
	said, err := c.packageManager(dir)
	if err != nil {
		return choice{}, err
	}
	switch {
	case len(locks) > 1 && said.name == "":
		several := &SeveralError{Locks: []string{locks[0].file, locks[1].file}}
		if m := path.Join(dir, "package.json"); c.ecosystem == "npm" && c.has(m) {
			several.Manifest = m
		}
		return choice{}, several
	case len(locks) > 0 && said.name != "":
		i := slices.IndexFunc(locks, func(l foundLock) bool { return l.manager == said.name })
		if i < 0 {
			problem := fmt.Sprintf("packageManager is %s, and %s is a lock of %s", said.name, locks[0].file, locks[0].manager)
			contradiction := &ContradictionError{Manifest: said.text.name, Said: said.name, Lock: locks[0].file, Manager: locks[0].manager}
			return choice{}, &document.FieldError{File: said.text.name, Line: said.line, Problem: problem, Err: contradiction}
		}
		locks = locks[i : i+1]
	}
	if len(locks) > 0 {
		err := c.checkLock(locks[0])
		if bad, ok := errors.AsType[*BadLockError](err); ok && c.Relock && bad.Manifest == "" {
			err = nil // it is made anew
		}
		if err != nil {
			return choice{}, err
		}
		return choice{manager: locks[0].manager, lock: locks[0].file}, nil
	}
	if said.name != "" {
		if !slices.Contains(c.managers(), said.name) {
			return choice{}, &LockError{File: said.text.name, Line: said.line, Manager: said.name, Managers: c.managers()}
		}
		return choice{manager: said.name}, nil
	}
	if w != nil && dir == w.dir && len(w.managers) == 1 {
		return choice{manager: w.managers[0]}, nil
	}
	return choice{manager: c.byManifest()}, nil
}

// unusable refuses the locks of a folder that the template cannot use.
func (c chooser) unusable(dir string, names []string) error {
	for _, name := range names {
		m, language, ok := languages.ManagerOf(name)
		if !ok || !c.has(path.Join(dir, name)) {
			continue
		}
		usable := slices.ContainsFunc(c.Lists, func(l schema.PackageList) bool {
			return path.Base(l.Lock) == name || slices.Contains(Managers(l), m.Name) && l.Ecosystem == language.Ecosystem ||
				slices.ContainsFunc(slices.Collect(maps.Values(l.Locks)), func(lock string) bool { return path.Base(lock) == name })
		})
		if !usable {
			return &LockError{File: path.Join(dir, name), Lock: true, Manager: m.Name, Managers: c.managers()}
		}
	}
	return nil
}

// byManifest is the manager that a manifest without a lock means; "" if there is none.
func (c chooser) byManifest() string {
	fallback := ""
	for _, l := range c.own() {
		if c.has(path.Join(c.Handler, l.Manifest)) {
			fallback = cmp.Or(fallback, Default(l))
		}
	}
	if fallback != "" {
		return fallback
	}
	managers := c.managers()
	if c.ecosystem == "pypi" && c.has(path.Join(c.Handler, "pyproject.toml")) {
		if m := c.pythonManager(); slices.Contains(managers, m) {
			return m
		}
	}
	language, _ := languages.ByEcosystem(c.ecosystem)
	for _, m := range language.Managers {
		if c.has(path.Join(c.Handler, m.Manifest)) && slices.Contains(managers, m.Name) {
			return m.Name
		}
	}
	for _, l := range language.Lists {
		if c.has(path.Join(c.Handler, l.Manifest)) && len(managers) > 0 {
			return managers[0]
		}
	}
	return ""
}

// pythonManager is whose tables a pyproject.toml has.
func (c chooser) pythonManager() string {
	_, manifest, err := c.toml(path.Join(c.Handler, "pyproject.toml"))
	if err != nil {
		return "" // following it says what is wrong
	}
	for _, name := range []string{"uv", "pdm", "poetry"} {
		if len(tableAt(manifest, "tool", name)) > 0 {
			return name
		}
	}
	return "uv"
}

// A saidManager is what a package.json says of itself.
type saidManager struct {
	name string
	text text
	line int
}

// packageManager returns what package.json says of itself.
func (c chooser) packageManager(dir string) (said saidManager, err error) {
	name := path.Join(dir, "package.json")
	if c.ecosystem != "npm" || !c.has(name) {
		return said, nil
	}
	t, manifest, err := c.json(name)
	if err != nil {
		return said, err
	}
	said.text = t
	said.name, _, _ = strings.Cut(stringAt(manifest, "packageManager"), "@")
	if said.name != "" {
		said.line = lineAt(said.text.data, strings.Index(string(said.text.data), `"packageManager"`))
	}
	return said, nil
}
