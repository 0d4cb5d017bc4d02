package templates

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// What became of a file of a handler when its template changed.
const (
	StarterAdded    = "added"
	StarterUpdated  = "updated"  // the user had not changed it
	StarterMerged   = "merged"   // both had changed it, in different places
	StarterRemoved  = "removed"  // the user had not changed it, and the template has it no more
	StarterKept     = "kept"     // the user has changed it, and the template has it no more
	StarterDeleted  = "deleted"  // the user has deleted it, and it stays so
	StarterConflict = "conflict" // a person has to choose
)

// A StarterChange is what became of one file of a handler.
type StarterChange struct {
	File   string `json:"file"` // slash-separated, below the handler
	Action string `json:"action"`
	// Beside is the file that the template's version was written to, where it
	// could not be merged into the user's.
	Beside string `json:"beside,omitempty"`
}

// An UnresolvedError names a file with the marks of a conflict of an earlier merge.
type UnresolvedError struct{ File string }

func (e *UnresolvedError) Error() string {
	return e.File + " still has the marks of an earlier conflict"
}

// A ChangedError names a file that somebody changed between [MergeStarter], which has
// merged what it was before, and [StarterMerge.Write].
type ChangedError struct{ File string }

func (e *ChangedError) Error() string {
	return e.File + " was changed while it was merged, and stays as it is now"
}

// A StarterMerge is what [MergeStarter] has found, and will write.
type StarterMerge struct {
	Changes []StarterChange // by file

	dir    string
	writes []starterWrite
}

// A starterWrite is a file as it was found, and as it is to be: one that is not there is
// removed.
type starterWrite struct{ found, file starterFile }

// Conflicts returns the files in which a person has to choose.
func (m *StarterMerge) Conflicts() []string {
	var files []string
	for _, c := range m.Changes {
		if c.Action == StarterConflict {
			files = append(files, c.File)
		}
	}
	return files
}

// A starterFile is one file of a handler.
type starterFile struct {
	name   string
	there  bool
	data   []byte // of a link its target
	exec   bool
	link   bool
	folder bool // or anything else that is no file
}

func (f starterFile) same(g starterFile) bool {
	return f.there == g.there && f.link == g.link && f.exec == g.exec && f.folder == g.folder && bytes.Equal(f.data, g.data)
}

// MergeStarter works out how the handler in the folder dir, which began as the
// starter of was, becomes one of now: what the template has changed is merged into
// what the user has made of it, file by file and line by line. Nothing is written
// until [StarterMerge.Write].
//
// A line of the user's is never lost, a file that they deleted does not come back,
// and one that they changed is not removed. What cannot be merged, such as two
// pictures, is a conflict: the user's stays, and the template's is written beside it.
func MergeStarter(was, now *Template, dir string) (*StarterMerge, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the handler %s: %w", dir, err)
	}
	defer func() { _ = root.Close() }() // it was only read from
	m := &StarterMerge{dir: dir}
	names := Sides{Ours: "yours", Base: "template " + versionName(was), Theirs: "template " + versionName(now)}
	files := slices.Concat(was.Handler.Files, now.Handler.Files)
	slices.Sort(files)
	for _, name := range slices.Compact(files) {
		base, err := starterOf(was, name)
		if err != nil {
			return nil, err
		}
		theirs, err := starterOf(now, name)
		if err != nil {
			return nil, err
		}
		if base.same(theirs) {
			continue
		}
		ours, err := handlerFile(root, name)
		if err != nil {
			return nil, fmt.Errorf("reading the handler %s: %w", dir, err)
		}
		if !ours.link && hasMarks(ours.data) && !hasMarks(theirs.data) {
			return nil, &UnresolvedError{File: filepath.Join(dir, filepath.FromSlash(name))}
		}
		if err := m.file(root, base, ours, theirs, names); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func versionName(t *Template) string {
	if t.Manifest.Version != "" {
		return t.Name + " " + t.Manifest.Version
	}
	return t.Name + " " + strings.TrimPrefix(t.Checksum, "fnb1:sha256:")[:12]
}

// starterOf reads a file of a template's starter.
func starterOf(t *Template, name string) (starterFile, error) {
	f := starterFile{name: name}
	full := path.Join(t.Handler.Folder, name)
	if !slices.Contains(t.Handler.Files, name) {
		return f, nil
	}
	info, err := fs.Lstat(t.FS, full)
	if err != nil {
		return f, err
	}
	f.there, f.exec = true, info.Mode()&0o111 != 0
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := fs.ReadLink(t.FS, full)
		f.link, f.exec, f.data = true, false, []byte(target)
		return f, err
	}
	f.data, err = fs.ReadFile(t.FS, full)
	return f, err
}

// handlerFile reads a file of the user's.
func handlerFile(root *os.Root, name string) (starterFile, error) {
	f := starterFile{name: name}
	file := filepath.FromSlash(name)
	info, err := root.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) || isNotFolder(err) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	f.there = true
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(file)
		f.link, f.data = true, []byte(filepath.ToSlash(target))
		return f, err
	case !info.Mode().IsRegular():
		f.folder = true
		return f, nil
	}
	f.exec = info.Mode()&0o111 != 0
	f.data, err = root.ReadFile(file)
	return f, err
}

// file decides about one file that the template has changed.
func (m *StarterMerge) file(root *os.Root, base, ours, theirs starterFile, names Sides) error {
	if !ours.there && theirs.there && blocked(root, theirs.name) {
		// A folder on the way is a file of the user's.
		m.add(StarterChange{File: theirs.name, Action: StarterConflict})
		return nil
	}
	switch {
	case ours.same(theirs):
		return nil
	case ours.same(base):
		action := StarterUpdated
		if !base.there {
			action = StarterAdded
		} else if !theirs.there {
			action = StarterRemoved
		}
		m.add(StarterChange{File: theirs.name, Action: action}, starterWrite{ours, theirs})
		return nil
	case !ours.there:
		m.add(StarterChange{File: theirs.name, Action: StarterDeleted})
		return nil
	case !theirs.there:
		m.add(StarterChange{File: theirs.name, Action: StarterKept})
		return nil
	case ours.folder || ours.link || theirs.link || base.link || !isText(ours.data) || !isText(theirs.data) || !isText(base.data):
		return m.beside(root, base, ours, theirs)
	}
	merged := ours
	var conflicts int
	merged.data, conflicts = mergeText(base.data, ours.data, theirs.data, names)
	if ours.exec == base.exec {
		merged.exec = theirs.exec
	}
	switch {
	case conflicts > 0:
		m.add(StarterChange{File: ours.name, Action: StarterConflict}, starterWrite{ours, merged})
	case !merged.same(ours):
		m.add(StarterChange{File: ours.name, Action: StarterMerged}, starterWrite{ours, merged})
	}
	return nil
}

func (m *StarterMerge) add(c StarterChange, writes ...starterWrite) {
	m.Changes = append(m.Changes, c)
	m.writes = append(m.writes, writes...)
}

// beside keeps the user's file, and writes the template's next to it.
func (m *StarterMerge) beside(root *os.Root, base, ours, theirs starterFile) error {
	if bytes.Equal(base.data, theirs.data) && base.link == theirs.link && base.there {
		// Only whether it can be run has changed.
		if !ours.link && !ours.folder && ours.exec != theirs.exec {
			now := ours
			now.exec = theirs.exec
			m.add(StarterChange{File: ours.name, Action: StarterMerged}, starterWrite{ours, now})
		}
		return nil
	}
	for i := 1; i < 100; i++ {
		beside := theirs
		beside.name += ".new"
		if i > 1 {
			beside.name += fmt.Sprint(i)
		}
		there, err := handlerFile(root, beside.name)
		if err != nil {
			return err
		}
		if there.there && !there.same(beside) {
			continue
		}
		m.add(StarterChange{File: ours.name, Action: StarterConflict, Beside: beside.name}, starterWrite{there, beside})
		return nil
	}
	return fmt.Errorf("merging %s: there are too many files %s.new already", ours.name, ours.name)
}

// isNotFolder reports whether a path has a file where it needs a folder.
func isNotFolder(err error) bool {
	return err != nil && strings.Contains(err.Error(), "not a directory")
}

// blocked reports whether a file cannot be made because a folder above it is none.
func blocked(root *os.Root, name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if info, err := root.Stat(filepath.FromSlash(dir)); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

// Write writes what was found. Each file is replaced in one step, and none of them
// before all have been written beside their places. A file that somebody has changed
// meanwhile is not replaced: the error is a [*ChangedError], and nothing is written where
// it was changed before the first one is.
func (m *StarterMerge) Write() (err error) {
	root, err := os.OpenRoot(m.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	staged := make([]string, len(m.writes))
	defer func() {
		for _, temp := range staged {
			if temp != "" {
				_ = root.Remove(temp) // it was renamed, or the error is known
			}
		}
	}()
	for i, w := range m.writes {
		if !w.file.there {
			continue
		}
		if staged[i], err = writeBeside(root, w.file); err != nil {
			return fmt.Errorf("writing %s: %w", m.path(w), err)
		}
	}
	for _, w := range m.writes {
		if err := m.unchanged(root, w); err != nil {
			return err
		}
	}
	for i, w := range m.writes {
		if err := m.replace(root, staged[i], w); err != nil {
			return err
		}
		staged[i] = ""
	}
	for _, w := range m.writes {
		for dir := path.Dir(w.file.name); !w.file.there && dir != "."; dir = path.Dir(dir) {
			if root.Remove(filepath.FromSlash(dir)) != nil {
				break // it is not empty
			}
		}
	}
	return nil
}

func (m *StarterMerge) path(w starterWrite) string {
	return filepath.Join(m.dir, filepath.FromSlash(w.file.name))
}

// unchanged returns an error unless a file is as it was found.
func (m *StarterMerge) unchanged(root *os.Root, w starterWrite) error {
	now, err := handlerFile(root, w.file.name)
	if err != nil {
		return fmt.Errorf("writing %s: %w", m.path(w), err)
	}
	if !now.same(w.found) {
		return &ChangedError{File: m.path(w)}
	}
	return nil
}

// replace puts a file that was written beside its place there, or removes it.
func (m *StarterMerge) replace(root *os.Root, staged string, w starterWrite) error {
	if err := m.unchanged(root, w); err != nil {
		return err
	}
	var err error
	if name := filepath.FromSlash(w.file.name); w.file.there {
		err = root.Rename(staged, name)
	} else {
		err = root.Remove(name)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", m.path(w), err)
	}
	return nil
}

// writeBeside writes a file beside its place and returns its name, which nobody has used.
func writeBeside(root *os.Root, f starterFile) (temp string, err error) {
	file := filepath.FromSlash(f.name)
	dir := filepath.Dir(file)
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	temp = filepath.Join(dir, "."+filepath.Base(file)+".merging-"+rand.Text())
	if f.link {
		return temp, root.Symlink(string(f.data), temp)
	}
	mode := fs.FileMode(0o644)
	if old, err := root.Lstat(file); err == nil && old.Mode().IsRegular() {
		mode = old.Mode().Perm() &^ 0o111
	}
	if f.exec {
		mode |= mode & 0o444 >> 2 // who may read it may run it
	}
	out, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = out.Write(f.data)
	err = errors.Join(err, out.Chmod(mode), out.Sync(), out.Close())
	if err != nil {
		return "", errors.Join(err, root.Remove(temp))
	}
	return temp, nil
}
