package packaging

import (
	"bytes"
	"path"
	"strings"

	"fnb/templates/tree"
)

// noteProgram names what would keep the program that fprocess starts from starting, where
// it is a file of the handler: a first line that ends as Windows' lines do, for the kernel
// looks for an interpreter of that name, and a file that nobody may execute.
func (a *assembly) noteProgram(view *tree.FS, fprocess string) error {
	for i, word := range strings.Fields(fprocess) {
		name := path.Join(a.folder, strings.Trim(word, `"'`))
		at, err := view.Lstat(name)
		if err != nil || !at.Mode().IsRegular() || i > 1 {
			continue // no file of the handler, or an argument of a program
		}
		data, err := view.ReadFile(name)
		if err != nil {
			return err
		}
		first, _, _ := bytes.Cut(data, []byte("\n"))
		if bytes.HasPrefix(first, []byte("#!")) && bytes.HasSuffix(first, []byte("\r")) {
			a.note("%s, which fprocess names, has the line ends of Windows, so its interpreter is not found; write it with those of Unix", word)
		}
		if i == 0 && at.Mode()&0o111 == 0 {
			a.note("%s, which fprocess starts, is not executable: allow it with chmod +x", word)
		}
	}
	return nil
}
