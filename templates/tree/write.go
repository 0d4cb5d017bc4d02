package tree

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Write writes what is in fsys into the empty folder root, and returns the
// files and links it wrote, sorted. Modes are those of fsys less the umask;
// times are the present.
func Write(ctx context.Context, fsys fs.FS, root *os.Root) ([]string, error) {
	var files []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() {
			return root.Mkdir(filepath.FromSlash(name), 0o755)
		}
		files = append(files, name)
		return writeEntry(root, fsys, name, d)
	})
	slices.Sort(files)
	return files, err
}

// writeEntry writes one file or link.
func writeEntry(root *os.Root, fsys fs.FS, name string, d fs.DirEntry) error {
	place := filepath.FromSlash(name)
	if d.Type() == fs.ModeSymlink {
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
