package lists

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"fnb/schema"
	"fnb/schema/languages"
)

// A Search is a place with package lists, and what a template makes of them.
type Search struct {
	// Files has the handler, and what is around it as far as a workspace may reach.
	Files fs.FS
	// Handler is the handler's folder in Files; "." is all of it.
	Handler string
	// Lists are those of the template, with their paths below the handler's folder.
	Lists []schema.PackageList
	// Relock looks for what a lock is made from: all members of a workspace, and the locks
	// that are there even if they are broken; not at all with Anew.
	Relock, Anew bool
}

// Found is what packages are installed from. Its paths are those of [Search.Files].
type Found struct {
	// Manager is the package manager that installs them; "" if there is no package list.
	Manager string
	// Root is the folder that has the lock: the handler's, or that of its workspace.
	Root string
	// Member is the handler's folder below the root; "." where they are one.
	Member string
	// Files are single files that installing needs, sorted.
	Files []string
	// Folders are needed with all that is in them, sorted, none below another.
	Folders []string
	// Empty are files that have to be there, whatever is in them: the sources of members
	// that nothing is compiled of.
	Empty []string
}

// Find returns what the packages of a handler are installed from.
func Find(s Search) (Found, error) {
	f := newFinder(s)
	for _, ecosystem := range f.ecosystems() {
		if err := f.ecosystem(ecosystem); err != nil {
			return Found{}, err
		}
	}
	found := Found{Manager: f.manager, Root: f.root, Member: below(f.root, s.Handler), Folders: slices.Sorted(maps.Keys(f.folders))}
	found.Folders = slices.DeleteFunc(found.Folders, func(dir string) bool { return f.covered(path.Dir(dir)) && dir != "." })
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		if f.Anew && slices.Contains(languages.Locks(), path.Base(name)) {
			continue
		}
		if !f.covered(path.Dir(name)) {
			found.Files = append(found.Files, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.empty)) {
		if !f.covered(path.Dir(name)) && !f.files[name] {
			found.Empty = append(found.Empty, name)
		}
	}
	return found, nil
}

// below returns the path of a folder as seen from one that it is in.
func below(root, dir string) string {
	switch root {
	case dir:
		return "."
	case ".":
		return dir
	}
	return strings.TrimPrefix(dir, root+"/")
}

// Inside reports whether a path is a folder, or lies in it.
func Inside(folder, name string) bool {
	return folder == "." || name == folder || strings.HasPrefix(name, folder+"/")
}

// What a search may cost: package lists are somebody else's.
const (
	maxManifest = 4 << 20   // bytes of a manifest
	maxLock     = 64 << 20  // bytes of a lock
	maxBytes    = 256 << 20 // bytes of all
	maxSteps    = 100_000   // folders that patterns lead to, and paths that are looked at
	maxCompared = 5_000_000 // times that a pattern is compared with a name
)

// A finder is a search under way.
type finder struct {
	Search
	manager string
	root    string // what packages are installed from
	files   map[string]bool
	folders map[string]bool
	empty   map[string]bool
	read    map[string]bool // manifests that were followed
	decoded map[string]decoded
	listed  map[string][]string // folders in a folder

	left     int // bytes that may still be read
	steps    int // that are left
	compared int // the same
}

func newFinder(s Search) *finder {
	return &finder{
		Search: s, root: s.Handler, left: maxBytes, steps: maxSteps, compared: maxCompared, listed: map[string][]string{},
		files: map[string]bool{}, folders: map[string]bool{}, empty: map[string]bool{}, read: map[string]bool{}, decoded: map[string]decoded{},
	}
}

// covered reports whether a folder is there with all that is in it.
func (f *finder) covered(dir string) bool {
	for ; ; dir = path.Dir(dir) {
		if f.folders[dir] {
			return true
		}
		if dir == "." {
			return false
		}
	}
}

// ecosystems returns those of the template's lists, in order.
func (f *finder) ecosystems() []string {
	var all []string
	for _, l := range f.Lists {
		if !slices.Contains(all, l.Ecosystem) {
			all = append(all, l.Ecosystem)
		}
	}
	return all
}

// ecosystem finds the manager and the files of one ecosystem.
func (f *finder) ecosystem(name string) error {
	c := chooser{finder: f, ecosystem: name}
	w, err := f.workspace(name)
	if err != nil {
		return err
	}
	choice, err := c.choose(w)
	if err != nil {
		return err
	}
	if choice.manager == "" {
		return f.patterns(name)
	}
	if f.manager == "" {
		f.manager = choice.manager
	}
	if choice.inWorkspace && w.dir != f.Handler {
		f.root = w.dir
	} else if w != nil && w.dir != f.Handler {
		w = nil
	}
	if choice.lock != "" {
		f.files[choice.lock] = true
	}
	for _, m := range c.manifests() {
		f.add(path.Join(f.Handler, m))
	}
	if err := f.patterns(name); err != nil {
		return err
	}
	if f.Relock {
		for _, dir := range w.dirs() {
			if dir != f.Handler && dir != f.root {
				f.folders[dir] = true
			}
		}
	}
	return f.follow(name, choice, w)
}

// follow adds what the manifests of an ecosystem name.
func (f *finder) follow(ecosystem string, c choice, w *workspace) error {
	switch ecosystem {
	case "pypi":
		return f.followPython(c, w)
	case "npm":
		return f.followNode(c, w)
	case "cargo":
		return f.followCargo(w)
	case "maven":
		return f.followMaven(path.Join(f.Handler, "pom.xml"))
	case "deno":
		return f.followDeno()
	case "go":
		return f.followGo()
	}
	return nil
}

// add takes a file that is there, and reports whether it is.
func (f *finder) add(name string) bool {
	if !f.has(name) {
		return false
	}
	f.files[name] = true
	return true
}

// addFolder takes a folder that is there, and reports whether it is.
func (f *finder) addFolder(name string) bool {
	if !f.hasFolder(name) {
		return false
	}
	f.folders[name] = true
	return true
}

// has reports whether a path is a file, or leads to one.
func (f *finder) has(name string) bool {
	info, err := fs.Stat(f.Files, name)
	return err == nil && info.Mode().IsRegular()
}

func (f *finder) hasFolder(name string) bool {
	info, err := fs.Stat(f.Files, name)
	return err == nil && info.IsDir()
}

// patterns takes the files of the handler that the template's patterns match.
func (f *finder) patterns(ecosystem string) error {
	handler, err := fs.Sub(f.Files, f.Handler)
	if err != nil {
		return err
	}
	for _, l := range f.Lists {
		if l.Ecosystem != ecosystem {
			continue
		}
		for _, pattern := range l.Files {
			names, err := fs.Glob(handler, pattern)
			if err != nil {
				return fmt.Errorf("packages: files: %s: %w", pattern, err)
			}
			for _, name := range names {
				if full := path.Join(f.Handler, name); !f.add(full) {
					f.addFolder(full)
				}
			}
		}
	}
	return nil
}

// Names returns the manifests and locks of an ecosystem: those that everybody knows, and
// those of a template's lists, below the handler's folder, sorted.
func Names(ecosystem string, lists []schema.PackageList) []string {
	var all []string
	if language, ok := languages.ByEcosystem(ecosystem); ok {
		for _, l := range language.Lists {
			all = append(all, l.Manifest)
		}
		for _, m := range language.Managers {
			all = append(all, m.Manifest)
			all = append(all, m.Locks...)
		}
	}
	for _, l := range lists {
		if l.Ecosystem != ecosystem {
			continue
		}
		all = append(all, l.Manifest)
		if l.Lock != "" {
			all = append(all, l.Lock)
		}
		all = slices.AppendSeq(all, maps.Values(l.Locks))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
