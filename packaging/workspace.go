package packaging

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"fnb/packaging/lists"
	"fnb/schema/words"
	"fnb/templates"
	"fnb/templates/tree"
)

// A LockError is a lock, or the name of a package manager, that a template cannot use.
type LockError struct {
	Template string
	Others   []string // official templates that can, sorted
	*lists.LockError
}

// Unwrap returns what was found.
func (e *LockError) Unwrap() error { return e.LockError }

// unusable finds out which official templates can use a lock.
func unusable(template string, err *lists.LockError) error {
	e := &LockError{Template: template, LockError: err}
	all, openErr := templates.Official()
	if openErr != nil {
		return openErr
	}
	for _, t := range all {
		for _, l := range t.Packages.Lists {
			if l.Separate() && t.Name != template && slices.Contains(lists.Managers(l), err.Manager) && !slices.Contains(e.Others, t.Name) {
				e.Others = append(e.Others, t.Name)
			}
		}
	}
	return e
}

// surroundings are the handler as the build context has it, and the files of the stack's
// folder around it, without what no context has. It is an [fs.FS].
type surroundings struct {
	*assembly
	at     string // where the handler is; "." where nothing around it counts
	stack  string // its folder, absolute, with links resolved
	view   *tree.FS
	files  map[string]tree.Entry // by their paths below it
	around fs.FS
}

// surroundings opens what is around the handler.
func (a *assembly) surroundings() (*surroundings, error) {
	s := &surroundings{assembly: a, at: ".", files: map[string]tree.Entry{}}
	var below []tree.Entry
	for _, e := range a.entries {
		if inside(a.folder, e.Path) {
			e.Path = strings.TrimPrefix(e.Path, a.folder+"/")
			below = append(below, e)
			s.files[e.Path] = e
		}
	}
	var err error
	if s.view, err = tree.New(below); err != nil {
		return nil, &FolderError{Dir: a.in.Function.Handler, Err: err}
	}
	if s.stack, err = filepath.Abs(cmp.Or(a.in.Root, ".")); err == nil {
		s.stack, err = filepath.EvalSymlinks(s.stack)
	}
	if err != nil {
		return nil, err
	}
	at, err := filepath.Rel(s.stack, a.dir)
	if err != nil || !filepath.IsLocal(at) || at == "." {
		return s, nil
	}
	root, err := os.OpenRoot(s.stack)
	if err != nil {
		return nil, err
	}
	s.at, s.around = filepath.ToSlash(at), tree.FolderAt(root, s.stack)
	return s, nil
}

// full is the absolute path of a file.
func (s *surroundings) full(name string) string {
	if s.at == "." {
		return filepath.Join(s.assembly.dir, filepath.FromSlash(name))
	}
	return filepath.Join(s.stack, filepath.FromSlash(name))
}

// real is the absolute path of what a path leads to; that of the path itself if it leads nowhere.
func (s *surroundings) real(name string) string {
	full := s.full(name)
	if real, err := filepath.EvalSymlinks(full); err == nil {
		return real
	}
	return full
}

// find returns the file system that has a path, and its path there.
func (s *surroundings) find(name string) (fs.FS, string, error) {
	switch {
	case slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return strings.EqualFold(part, ".git") }):
		// No package list needs what git has, tokens among it.
		return nil, "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case s.at == ".":
		return s.view, name, nil
	case name == s.at:
		return s.view, ".", nil
	case lists.Inside(s.at, name):
		return s.view, strings.TrimPrefix(name, s.at+"/"), nil
	case s.hides(filepath.Join(s.stack, filepath.FromSlash(name))), s.hides(s.real(name)):
		return nil, "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return s.around, name, nil
}

// Open implements [fs.FS].
func (s *surroundings) Open(name string) (fs.File, error) {
	files, below, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return files.Open(below)
}

// Stat implements [fs.StatFS].
func (s *surroundings) Stat(name string) (fs.FileInfo, error) {
	files, below, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return fs.Stat(files, below)
}

// ReadDir implements [fs.ReadDirFS].
func (s *surroundings) ReadDir(name string) ([]fs.DirEntry, error) {
	files, below, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return fs.ReadDir(files, below)
}

// A gathering collects the entries of the folder packages.
type gathering struct {
	*surroundings
	root   string          // what packages are installed from
	ignore *matcher        // of that root, for what is in members beside the handler
	places map[string]bool // that have an entry
}

func (g *gathering) gather(ctx context.Context, found lists.Found) error {
	if g.around != nil && !lists.Inside(g.at, g.root) {
		files, err := fs.Sub(g.around, g.root)
		if err == nil {
			g.ignore, err = newMatcher(files, ignoreFile, fnbIgnoreFile)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", g.root, err)
		}
	}
	for _, name := range found.Folders {
		if err := g.folder(ctx, name); err != nil {
			return err
		}
	}
	for _, name := range found.Files {
		if err := g.file(name); err != nil {
			return err
		}
	}
	for _, name := range found.Empty {
		g.put(name, tree.Bytes("empty", nil))
	}
	return nil
}

// below is a path as it is below the root.
func (g *gathering) below(name string) string {
	if g.root == "." {
		return name
	}
	return strings.TrimPrefix(name, g.root+"/")
}

// put adds the entry of a path, once.
func (g *gathering) put(name string, e tree.Entry) {
	if e.Path = path.Join(words.PackagesFolder, g.below(name)); !g.places[e.Path] {
		g.places[e.Path] = true
		g.entries = append(g.entries, e)
	}
}

// file adds one file. What a link leads to is there as a file, since it may lead to what
// is not.
func (g *gathering) file(name string) error {
	files, below, err := g.find(name)
	if err != nil {
		return err
	}
	if files == g.view {
		if e, ok := g.files[below]; ok && e.Mode.IsRegular() {
			g.put(name, e)
			return nil
		}
	} else if g.login(g.surroundings.stack, name, name) {
		return nil
	}
	if real := g.real(name); real != g.full(name) && (g.hides(real) || g.login(filepath.Dir(real), filepath.Base(real), name)) {
		return nil
	}
	e, err := tree.File(files, below, name)
	if err != nil {
		return err
	}
	g.put(name, e)
	if files != g.view {
		g.packages.Around = append(g.packages.Around, name)
	}
	return nil
}

// folder adds what is in a folder: of the handler, or of a member of its workspace, whose
// own ignore files count, and those of the workspace.
func (g *gathering) folder(ctx context.Context, name string) error {
	if g.at == "." || lists.Inside(g.at, name) {
		return g.ofHandler(name)
	}
	g.packages.Around = append(g.packages.Around, name)
	dir := filepath.Join(g.surroundings.stack, filepath.FromSlash(name))
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	ignored, err := readIgnore(g.in.Template.FS, root.FS(), g.assembly.folder)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	left := false
	entries, err := tree.Scan{Skip: func(file string, folder bool) (bool, error) {
		full := path.Join(name, file)
		if full == g.at || folder && madeByTools(path.Base(file)) || file == ignoreFile || file == fnbIgnoreFile || g.secret(dir, file, name) {
			return true, nil
		}
		skip, err := ignored.handler(file, folder)
		if !skip && err == nil {
			skip, err = g.ignore.skip(g.below(full), folder)
			left = left || skip
		}
		if skip || err != nil || folder {
			return skip, err
		}
		return g.login(g.surroundings.stack, full, full), nil
	}}.Entries(ctx, tree.FolderAt(root, dir))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if left && len(entries) == 0 {
		return fmt.Errorf("%s: the workspace's %s or %s leaves all of it out, and a function depends on it; a line !%s in %s brings it back", name, ignoreFile, fnbIgnoreFile, g.below(name), path.Join(g.root, fnbIgnoreFile))
	}
	for _, e := range entries {
		g.put(path.Join(name, e.Path), e)
	}
	if lists.Inside(name, g.at) {
		return g.ofHandler(g.at)
	}
	return nil
}

// ofHandler adds what is in a folder of the handler.
func (g *gathering) ofHandler(name string) error {
	for below, e := range g.files {
		full := path.Join(g.at, below)
		if !lists.Inside(name, full) {
			continue
		}
		if e.Mode.IsRegular() {
			g.put(full, e)
			continue
		}
		if info, err := fs.Stat(g.view, below); err != nil || !info.Mode().IsRegular() {
			g.put(full, e)
			continue
		}
		file, err := tree.File(g.view, below, full)
		if err != nil {
			return err
		}
		g.put(full, file)
	}
	return nil
}

// madeByTools reports whether a folder of this name is what a tool installed or compiled
// on this machine.
func madeByTools(name string) bool {
	return slices.Contains([]string{"node_modules", ".venv", "__pycache__"}, name)
}
