// Package checksum says what the files of a template are, in one line that is the same in
// git, in a folder and in an archive: begin with [Of].
package checksum

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

// Of returns the checksum of the files in fsys, "fnb1:sha256:" and 64 hex
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
func Of(fsys fs.FS) (string, error) {
	var files []FileSum
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := SumFile(fsys, path, d)
		files = append(files, f)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("checksum: %w", err)
	}
	return OfFiles(files), nil
}

// A FileSum is one line of a checksum.
type FileSum struct {
	Path string
	Mode string // 100644, 100755 or 120000
	Sum  string // SHA-256 of the content, or of a link's target, in hex
}

// OfFiles returns the checksum of files, as [Of] makes it.
func OfFiles(files []FileSum) string {
	lines := make([]string, len(files))
	for i, f := range files {
		lines[i] = f.Mode + " " + f.Sum + " " + f.Path + "\n"
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, line := range lines {
		h.Write([]byte(line))
	}
	return "fnb1:sha256:" + hex.EncodeToString(h.Sum(nil))
}

// SumFile reads one file or link of fsys. Anything else, and a path with a line
// break, is an error that names the path.
func SumFile(fsys fs.FS, path string, d fs.DirEntry) (FileSum, error) {
	if strings.ContainsAny(path, "\n\r") {
		return FileSum{}, &fs.PathError{Op: "read", Path: path, Err: errors.New("the path has a line break in it")}
	}
	info, err := d.Info()
	if err != nil {
		return FileSum{}, err
	}
	mode, hash := "100644", sha256.New()
	switch {
	case info.Mode().Type() == fs.ModeSymlink:
		mode = "120000"
		target, err := fs.ReadLink(fsys, path)
		if err != nil {
			return FileSum{}, err
		}
		hash.Write([]byte(target))
	case !info.Mode().IsRegular():
		return FileSum{}, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is neither a file, a folder nor a symbolic link")}
	default:
		if info.Mode()&0o100 != 0 {
			mode = "100755"
		}
		if err := hashFile(hash, fsys, path); err != nil {
			return FileSum{}, err
		}
	}
	return FileSum{Path: path, Mode: mode, Sum: hex.EncodeToString(hash.Sum(nil))}, nil
}

func hashFile(w io.Writer, fsys fs.FS, path string) error {
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}
