package schema

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"fnb/schema/document"
)

// maxFolder bounds how many names of a folder are looked at.
const maxFolder = 2000

// StackFiles returns the names of the stack files in the folder at the root of fsys:
// stack.yaml or else stack.yml first, and behind it other YAML files that are stacks, as
// faas-cli -f takes them. Whether stack.yaml is one nobody asks; of other files only plain
// ones of a megabyte at most are read.
func StackFiles(fsys fs.FS) ([]string, error) {
	names, err := PlainFiles(fsys)
	if err != nil {
		return nil, fmt.Errorf("looking for stack files: %w", err)
	}
	var found []string
	for _, name := range []string{"stack.yaml", "stack.yml"} {
		if slices.Contains(names, name) {
			found = append(found, name)
			break
		}
	}
	for _, name := range names {
		ext := path.Ext(name)
		if ext != ".yml" && ext != ".yaml" || strings.HasPrefix(name, "stack.y") {
			continue
		}
		data, err := readPart(fsys, name)
		if err == nil && isStack(data) {
			found = append(found, name)
		}
	}
	return found, nil
}

// PlainFiles returns the names of the files at the root of fsys, sorted, also of those that
// a link inside fsys leads to. What is no plain file is none, and of very many names only
// the first two thousand are looked at.
func PlainFiles(fsys fs.FS) ([]string, error) {
	dir, err := fsys.Open(".")
	if err != nil {
		return nil, err
	}
	list, ok := dir.(fs.ReadDirFile)
	if !ok {
		return nil, errors.Join(errors.New("it cannot be listed"), dir.Close())
	}
	entries, err := list.ReadDir(maxFolder)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	var names []string
	for _, e := range entries {
		if info, err := fs.Stat(fsys, e.Name()); err == nil && info.Mode().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, errors.Join(err, dir.Close())
}

// readPart reads a file, of a large one a byte more than a document may have.
func readPart(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, document.MaxBytes+1))
	return data, errors.Join(err, f.Close())
}

// isStack reports whether data is a stack file for OpenFaaS or fnb, whatever problems it
// has: functions with a template or an image, of no other provider. Serverless' files have
// functions too.
func isStack(data []byte) bool {
	r := &document.Reader{Raw: true}
	v, ok := r.Document(data)
	if !ok {
		return false
	}
	entries, _ := r.Entries(v)
	named, functions := true, false
	for _, e := range entries {
		below, _ := r.Entries(e.Value)
		for _, b := range below {
			switch {
			case e.Key == "provider" && b.Key == "name":
				text, _ := document.ScalarText(b.Value.Node)
				named = text == "" || text == "openfaas" || text == wrongProvider
			case e.Key == "functions":
				keys, _ := r.Entries(b.Value)
				functions = functions || slices.ContainsFunc(keys, func(k document.Entry) bool { return k.Key == "lang" || k.Key == "image" })
			}
		}
	}
	return named && functions
}
