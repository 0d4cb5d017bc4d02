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
	target, was, err := Place(path)
	if err == nil {
		err = replace(target, was, data, mode)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// Place is where a file is replaced: path, or what a symbolic link there leads to. The information is that of the file that is
// there, nil if there is none. A folder, a device or another thing that is no regular file is an error, since a rename would
// take its place.
func Place(path string) (string, fs.FileInfo, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil, nil
	case err != nil:
		return path, nil, err
	case !info.Mode().IsRegular():
		return path, nil, errors.New("it is not a regular file")
	}
	return path, info, nil
}

func replace(path string, was fs.FileInfo, data []byte, mode fs.FileMode) (err error) {
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
	if was != nil {
		err = errors.Join(err, f.Chmod(was.Mode().Perm()))
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
