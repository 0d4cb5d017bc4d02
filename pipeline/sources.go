package pipeline

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"

	"fnb/packaging/lists"
	"fnb/schema"
	"fnb/schema/runtimes"
	"fnb/templates/tree"
)

// Sources are the paths that a function is made of, beside what is pinned: also where a file
// around the handler would say which version of a runtime it wants.
func (p *Pipeline) Sources(fn schema.Function) []string {
	root := filepath.Dir(p.Stack.File)
	at := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(root, path)
	}
	paths := []string{at(fn.Handler)}
	around, _ := p.Around(fn) // what is wrong there, packaging says
	for _, c := range slices.Concat(p.Stack.Configuration.Copy, p.settings.Inputs.Copies, fn.EnvironmentFile, around, versionFiles(fn.Handler)) {
		paths = append(paths, at(c))
	}
	if dir := templateFolder(p.Stack, fn); dir != "" {
		paths = append(paths, dir)
	}
	return paths
}

// InputPaths are the paths of the stack that a function's image is made of, and those that
// need not be there: where its template may be.
func (p *Pipeline) InputPaths(fn schema.Function) (paths, perhaps []string) {
	paths = slices.Concat([]string{fn.Handler}, p.Stack.Configuration.Copy, p.settings.Inputs.Copies)
	sources := []string{fn.Lang}
	for _, src := range p.Stack.Configuration.Templates {
		sources = append(sources, src.Source)
	}
	for _, src := range sources {
		if ref, err := schema.ParseTemplateRef(src); err == nil && ref.Kind == schema.RefFolder {
			perhaps = append(perhaps, ref.Dir)
		}
	}
	return paths, append(append(perhaps, "template"), versionFiles(fn.Handler)...)
}

// versionFiles are the files around a handler that may say which version of a runtime it
// wants.
func versionFiles(handler string) []string {
	clean, ok := stackPath(handler)
	if !ok {
		return nil
	}
	var all []string
	for dir := clean; dir != "."; {
		dir = path.Dir(dir)
		for _, name := range runtimes.Files() {
			all = append(all, path.Join(dir, name))
		}
	}
	return all
}

// Around are the paths of the stack that a function's packages are installed from, beside
// its handler: members of its workspace. Sure is false where that cannot be told.
func (p *Pipeline) Around(fn schema.Function) (paths []string, sure bool) {
	if _, ok := stackPath(fn.Handler); !ok {
		return nil, true
	}
	root, err := os.OpenRoot(p.Reach.Root)
	if err != nil {
		return nil, false
	}
	paths, sure = Around(tree.Folder(root), fn)
	return paths, root.Close() == nil && sure
}

// Around is [Pipeline.Around] in other files of the stack's folder.
func Around(files fs.FS, fn schema.Function) (paths []string, sure bool) {
	handler, ok := stackPath(fn.Handler)
	if !ok {
		return nil, true
	}
	paths, err := lists.Around(files, handler)
	return paths, err == nil
}

// stackPath is a path below the stack's folder, cleaned; false for that folder itself, and
// for what is elsewhere.
func stackPath(name string) (string, bool) {
	clean := path.Clean(filepath.ToSlash(name))
	return clean, clean != "." && filepath.IsLocal(filepath.FromSlash(clean))
}

// Same reports whether two pipelines say the same of a function, each of its own: all that
// decides its image and is in no file of its own, as the stack file, the settings and the
// lock that was read have it. What was found out since is no difference.
func (p *Pipeline) Same(fn schema.Function, other *Pipeline, its schema.Function) bool {
	return reflect.DeepEqual(p.says(fn), other.says(its))
}

// A saying is what is said of a function.
type saying struct {
	function      schema.Function // without its line
	configuration schema.Configuration
	pin           schema.Pin // of its template
	lock          schema.Lock
	openFaaS      bool     // names of OpenFaaS's template store are found
	secrets       []string // files that no image has
}

func (p *Pipeline) says(fn schema.Function) saying {
	lock := p.Pins.File()
	fn.Line = 0
	return saying{
		function: fn, configuration: p.Stack.Configuration, pin: lock.Templates[fn.Lang],
		lock:     schema.Lock{Bases: lock.Bases, Watchdogs: lock.Watchdogs, Settings: lock.Settings},
		openFaaS: p.ofOpenFaaS(), secrets: p.Stack.BuildSecretFiles(),
	}
}
