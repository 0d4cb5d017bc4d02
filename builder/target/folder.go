package target

import (
	"errors"
	"fmt"
	"os"
)

// A folder gets its files from the builder's client, and nothing through this package.
type folder struct {
	path string
	made bool // here
}

// Folder is a target that is a folder, which whoever makes the image writes to by its path. If it
// is not there it is made as the user's umask has it: BuildKit's client would make one that only
// the user reads.
func Folder(path string) (Target, error) {
	if _, err := os.Lstat(path); err == nil {
		return &folder{path: path}, nil
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, fmt.Errorf("making the folder: %w", err)
	}
	return &folder{path: path, made: true}, nil
}

func (t *folder) Write([]byte) (int, error) {
	return 0, fmt.Errorf("writing %s: %w", t.path, errors.ErrUnsupported)
}

func (t *folder) Close() error { return nil }

func (t *folder) Commit() error { return nil }

func (t *folder) Discard(err error) error {
	if t.made {
		_ = os.Remove(t.path) // one with files stays
	}
	return err
}
