package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Checksum returns the checksum of the files in fsys, "fnb1:sha256:" and 64 hex
// digits. It is the SHA-256 of one line for each file,
//
//	<mode> <SHA-256 of the content in hex> <path>\n
//
// the lines sorted by their bytes. The mode is 120000 for a symbolic link, whose
// content is its target; 100755 for a file that its owner may execute; and
// 100644 for any other. Folders do not count, empty ones neither, nor do times,
// owners and other mode bits: a template has one checksum in git, in a folder
// and in an archive. Anything else than files, folders and links, and a path
// with a line break, is an error that names the path.
func Checksum(fsys fs.FS) (string, error) {
	var lines []string
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		line, err := checksumLine(fsys, path, d)
		lines = append(lines, line)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("checksum: %w", err)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return "fnb1:sha256:" + hex.EncodeToString(sum[:]), nil
}

func checksumLine(fsys fs.FS, path string, d fs.DirEntry) (string, error) {
	if strings.ContainsAny(path, "\n\r") {
		return "", &fs.PathError{Op: "read", Path: path, Err: errors.New("the path has a line break in it")}
	}
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	mode, hash := "100644", sha256.New()
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		mode = "120000"
		target, err := fs.ReadLink(fsys, path)
		if err != nil {
			return "", err
		}
		hash.Write([]byte(target))
	case !info.Mode().IsRegular():
		return "", &fs.PathError{Op: "read", Path: path, Err: errors.New("it is neither a file, a folder nor a symbolic link")}
	default:
		if info.Mode()&0o100 != 0 {
			mode = "100755"
		}
		if err := hashFile(hash, fsys, path); err != nil {
			return "", err
		}
	}
	return mode + " " + hex.EncodeToString(hash.Sum(nil)) + " " + path + "\n", nil
}

func hashFile(w io.Writer, fsys fs.FS, path string) error {
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}
