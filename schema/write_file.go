package schema

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// WriteFile replaces the file at path by data in one step: whoever reads it
// sees the old or the new contents, also after a crash. A new file gets mode,
// less the umask, as with [os.WriteFile]; one that is there keeps its mode. A
// symbolic link stays, and the file it leads to is replaced.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	target := path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		target = real
	}
	if err := replaceFile(target, data, mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func replaceFile(path string, data []byte, mode fs.FileMode) (err error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	exists := err == nil
	folder := filepath.Dir(path)
	beside := filepath.Join(folder, "."+filepath.Base(path)+"."+rand.Text())
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode.Perm())
	if pe, ok := errors.AsType[*fs.PathError](err); ok { // whose name is a temporary one
		return pe.Err
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(beside))
		}
	}()
	_, err = f.Write(data)
	if exists {
		err = errors.Join(err, f.Chmod(info.Mode().Perm()))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(beside, path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// syncFolder makes a rename in folder last. Windows has nothing like it.
func syncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
