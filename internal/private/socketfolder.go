package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// MakeSocketFolder makes the folder of a socket, for the user alone, and checks it as
// [CheckSocketFolder] does. One that is there already is taken only where it is the
// user's, no link, and of a mode without any of the bits.
func MakeSocketFolder(dir string, bits fs.FileMode) error {
	if err := CheckSocketFolder(dir); err != nil {
		return err // before anything is made in a folder of somebody else's
	}
	if err := MakeFolder(dir, bits); err != nil {
		return fmt.Errorf("making the folder of a socket: %w", err)
	}
	return CheckSocketFolder(dir)
}

// CheckSocketFolder refuses the folder of a socket where another user could put one of
// his own in its place: who owns one of the folders and links above it, may write to one
// of them, or may lead one elsewhere. What is not there yet is nobody's.
func CheckSocketFolder(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("looking at the folder of a socket: %w", err)
	}
	if err := checkWay(dir); err != nil {
		return err
	}
	resolved, err := filepath.EvalSymlinks(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("looking at the folder of a socket: %w", err)
	case resolved == dir:
		return nil
	}
	return checkWay(resolved)
}

// checkWay looks at all that is above a folder, beginning with the highest.
func checkWay(dir string) error {
	var way []string
	for dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		way = append(way, dir)
	}
	shared := false // the folder above is one that everybody may write to, as /tmp
	for _, at := range slices.Backward(way) {
		fi, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking at the folder of a socket: %w", err)
		}
		link := fi.Mode()&fs.ModeSymlink != 0
		others := !link && fi.Mode().Perm()&0o002 != 0
		switch {
		case !OwnFile(fi) && !rootFile(fi), others && fi.Mode()&fs.ModeSticky == 0, shared && link && !rootFile(fi):
			return fmt.Errorf("the socket would be below %s, where another user could put one of his own: set XDG_RUNTIME_DIR to a folder that only you can write to", at)
		}
		shared = others
	}
	return nil
}
