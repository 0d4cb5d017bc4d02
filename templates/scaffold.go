package templates

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	if files, err = t.writeStarter(content); err != nil {
		return nil, fmt.Errorf("writing the handler of template %s: %w", t.Name, err)
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

func (t *Template) writeStarter(dest string) ([]string, error) {
	if err := os.Mkdir(dest, 0o755); err != nil {
		return nil, err
	}
	var files []string
	err := fs.WalkDir(t.FS, t.Handler.Folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == t.Handler.Folder {
			return err
		}
		below := name[len(t.Handler.Folder)+1:]
		place := filepath.Join(dest, filepath.FromSlash(below))
		if d.IsDir() {
			return os.Mkdir(place, 0o755)
		}
		files = append(files, below)
		return writeEntry(t.FS, name, place, d)
	})
	slices.Sort(files)
	return files, err
}

// writeEntry writes one file or link of fsys to place.
func writeEntry(fsys fs.FS, name, place string, d fs.DirEntry) error {
	if d.Type() == fs.ModeSymlink {
		target, err := fs.ReadLink(fsys, name)
		if err != nil {
			return err
		}
		return os.Symlink(filepath.FromSlash(target), place)
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	in, err := fsys.Open(name)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(place, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return errors.Join(err, in.Close())
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close(), in.Close())
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
