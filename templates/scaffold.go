package templates

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"fnb/schema"
	"fnb/templates/tree"
)

// An ExistsError says that a handler was not written because something is
// already where it was to go.
type ExistsError struct{ Dir string }

func (e *ExistsError) Error() string { return e.Dir + " exists and is not an empty folder" }

// Scaffold writes the template's starter into the folder dir and returns the
// files it wrote, slash-separated below dir and sorted. It writes all of them
// or, when there is an error, nothing.
//
// The folder and those above it are made where they are missing. Scaffold never
// overwrites: if dir is anything but an empty folder it returns an
// [*ExistsError].
func (t *Template) Scaffold(dir string) (files []string, err error) {
	starter, err := fs.Sub(t.FS, t.Handler.Folder)
	if err == nil {
		files, err = writeNew(starter, dir)
	}
	if err != nil && !isExists(err) {
		err = fmt.Errorf("writing the handler of template %s: %w", t.Name, err)
	}
	return files, err
}

// Copy writes all files of the template into the folder dir, as [Template.Scaffold]
// does its starter.
func (t *Template) Copy(dir string) (files []string, err error) {
	files, err = writeNew(t.FS, dir)
	if err != nil && !isExists(err) {
		err = fmt.Errorf("writing template %s: %w", t.Name, err)
	}
	return files, err
}

func isExists(err error) bool {
	_, ok := errors.AsType[*ExistsError](err)
	return ok
}

//go:embed all:start
var beginnings embed.FS

// beginningDescription is what the manifest of the beginnings has for its author to replace.
const beginningDescription = "Say in one line what functions of this template are"

// Start writes the beginnings of a template called name into the folder dir, with
// each of the four parts, as [Template.Scaffold] does a handler.
func Start(name, dir string) (files []string, err error) {
	if err := schema.ValidateName(name); err != nil {
		return nil, err
	}
	sub, err := fs.Sub(beginnings, "start")
	if err != nil {
		return nil, err
	}
	view, err := look(sub)
	if err != nil {
		return nil, err
	}
	return placeNew(dir, func(dest string) ([]string, error) {
		files, err := writeFiles(view, dest)
		if err != nil {
			return nil, err
		}
		manifest, err := fs.ReadFile(view, ManifestName)
		if err != nil {
			return nil, err
		}
		manifest = bytes.ReplaceAll(manifest, []byte("TEMPLATE-NAME"), []byte(name))
		return files, os.WriteFile(filepath.Join(dest, ManifestName), manifest, 0o644)
	})
}

// writeNew writes files into a folder that is new or empty; all of them, or nothing.
func writeNew(fsys fs.FS, dir string) ([]string, error) {
	return placeNew(dir, func(dest string) ([]string, error) { return writeFiles(fsys, dest) })
}

// placeNew has write make a folder, and puts it where nothing or an empty folder is.
func placeNew(dir string, write func(dest string) ([]string, error)) (files []string, err error) {
	dir = filepath.Clean(dir)
	exists, err := emptyFolder(dir)
	if err != nil {
		return nil, err
	}
	made := missingFolders(filepath.Dir(dir))
	defer func() {
		if err != nil {
			for _, d := range made {
				if e := os.Remove(d); !errors.Is(e, fs.ErrNotExist) {
					err = errors.Join(err, e)
				}
			}
		}
	}()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	beside, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(beside)) }()
	content := filepath.Join(beside, "content")
	if files, err = write(content); err != nil {
		return nil, err
	}
	if exists {
		return files, moveInto(dir, content)
	}
	return files, os.Rename(content, dir)
}

// emptyFolder reports whether dir is an empty folder; false is that there is
// nothing at all.
func emptyFolder(dir string) (bool, error) {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return false, &ExistsError{Dir: dir}
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	if len(list) > 0 {
		return false, &ExistsError{Dir: dir}
	}
	return true, nil
}

// missingFolders returns those of dir and the folders above it that are not
// there, the deepest first.
func missingFolders(dir string) []string {
	var missing []string
	for d := dir; d != filepath.Dir(d); d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, d)
	}
	return missing
}

// writeFiles writes files into the new folder dest.
func writeFiles(fsys fs.FS, dest string) ([]string, error) {
	if err := os.Mkdir(dest, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dest)
	if err != nil {
		return nil, err
	}
	files, err := tree.Write(context.Background(), fsys, root)
	return files, errors.Join(err, root.Close())
}

// moveInto moves what is in the folder from into the empty folder dir. When one
// cannot be moved, those that were are removed again.
func moveInto(dir, from string) error {
	list, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for i, d := range list {
		err := os.Rename(filepath.Join(from, d.Name()), filepath.Join(dir, d.Name()))
		if err == nil {
			continue
		}
		for _, moved := range list[:i] {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, moved.Name())))
		}
		return err
	}
	return nil
}

// shows reports whether a file of the starter of an official template stands elsewhere in
// the template too, which builds with that one.
func (t *Template) shows(file string) bool {
	for _, stands := range shared() {
		if t.Source == "official" && strings.HasPrefix(t.Name+"/"+file, stands+"/") {
			return true
		}
	}
	return false
}

// WithStarter returns the template with another starter: what is at the root of
// fsys, and what an editor needs of an official one. Its checksum stays that of the
// template.
func (t *Template) WithStarter(fsys fs.FS) (*Template, error) {
	own, err := look(t.FS)
	if err != nil {
		return nil, err
	}
	starter, err := look(fsys)
	if err != nil {
		return nil, err
	}
	other, all := *t, starter.Entries()
	other.Handler.Files = nil
	var entries []tree.Entry
	for _, e := range own.Entries() {
		name, isStarter := strings.CutPrefix(e.Path, t.Handler.Folder+"/")
		if !isStarter {
			entries = append(entries, e)
		} else if t.shows(e.Path) && !slices.ContainsFunc(all, func(own tree.Entry) bool { return own.Path == name }) {
			e.Path = name
			all = append(all, e)
		}
	}
	for _, e := range all {
		other.Handler.Files = append(other.Handler.Files, e.Path)
		e.Path = path.Join(t.Handler.Folder, e.Path)
		entries = append(entries, e)
	}
	other.FS, err = tree.New(entries)
	return &other, err
}
