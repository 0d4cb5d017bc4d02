package private

import (
	"fmt"
	"io/fs"
	"os"
)

// MakeFolder makes a folder that only its owner can enter. It refuses one that
// belongs to somebody else, or whose mode has any of the bits.
func MakeFolder(dir string, bits fs.FileMode) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	if !OwnFile(fi) {
		return fmt.Errorf("%s belongs to another user", dir)
	}
	if fi.Mode().Perm()&bits != 0 {
		return fmt.Errorf("%s is open to other users (mode %04o): close it with chmod 700, or name another", dir, fi.Mode().Perm())
	}
	return nil
}
