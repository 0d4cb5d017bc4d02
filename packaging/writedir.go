package packaging

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"fnb/templates/tree"
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
	_, err = tree.Write(ctx, fsys, root)
	return errors.Join(err, root.Close())
}
