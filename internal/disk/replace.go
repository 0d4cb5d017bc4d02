package disk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Temporary begins the names of files that are not finished. What is left of them is of
// a process that was killed.
const Temporary = ".tmp-"

// ReplaceFile replaces the file at path by data in one step: whoever reads it
// sees the old or the new contents, also after a crash. A new file gets mode,
// less the umask, as with [os.WriteFile]; one that is there keeps its mode. A
// symbolic link stays, and the file it leads to is replaced.
func ReplaceFile(path string, data []byte, mode fs.FileMode) error {
	target := path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		target = real
	}
	if err := replace(target, data, mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func replace(path string, data []byte, mode fs.FileMode) (err error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	exists := err == nil
	folder := filepath.Dir(path)
	beside := filepath.Join(folder, Temporary+filepath.Base(path)+"."+rand.Text())
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode.Perm())
	if pe, ok := errors.AsType[*fs.PathError](err); ok { // whose name is a temporary one
		return pe.Err
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, Discard(f))
		}
	}()
	_, err = f.Write(data)
	if exists {
		err = errors.Join(err, f.Chmod(info.Mode().Perm()))
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return Commit(f, path)
}

// Commit gives a file that is written beside path, under a temporary name, its own name,
// once what is in it is on the disk. It closes the file.
func Commit(f *os.File, path string) error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// Discard removes an unfinished file, which may be closed already.
func Discard(f *os.File) error {
	if err := f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return err
	}
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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
