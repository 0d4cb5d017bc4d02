package packaging

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteDir writes the files of fsys, such as a context's, into the folder dir,
// which must not exist or be empty. Modes are those of fsys less the umask.
func WriteDir(ctx context.Context, fsys fs.FS, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		return &fs.PathError{Op: "write", Path: dir, Err: errors.New("the folder is not empty")}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || name == "." {
			return err
		}
		return writeEntry(root, fsys, name, d)
	})
	return errors.Join(err, root.Close())
}

func writeEntry(root *os.Root, fsys fs.FS, name string, d fs.DirEntry) error {
	place := filepath.FromSlash(name)
	switch {
	case d.IsDir():
		return root.Mkdir(place, 0o755)
	case d.Type() == fs.ModeSymlink:
		target, err := fs.ReadLink(fsys, name)
		if err != nil {
			return err
		}
		return root.Symlink(filepath.FromSlash(target), place)
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	in, err := fsys.Open(name)
	if err != nil {
		return err
	}
	out, err := root.OpenFile(place, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return errors.Join(err, in.Close())
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close(), in.Close())
}
