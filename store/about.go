package store

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"fnb/schema"
	"fnb/store/git"
)

// ReadmeName is the file beside a handler that a store shows.
const ReadmeName = "README.md"

// About is what a handler's folder says of its function.
type About struct {
	schema.FunctionFile
	README string
	Icon   string // as a record has it: a data: or an https: URL
}

// ReadAbout reads the function.yml, the README.md and the icon of a handler's folder,
// as far as they are there.
func ReadAbout(handler fs.FS) (About, error) {
	var a About
	data, err := readBounded(handler, schema.FunctionFileName, schema.MaxRecordSize)
	switch {
	case err == nil:
		if a.FunctionFile, err = schema.ParseFunctionFile(schema.FunctionFileName, data); err != nil {
			return About{}, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return About{}, err
	}
	readme, err := readBounded(handler, ReadmeName, schema.MaxReadmeSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return About{}, err
	}
	a.README = strings.ToValidUTF8(string(readme), "\ufffd")
	if a.Icon = a.FunctionFile.Icon; a.Icon != "" && !strings.HasPrefix(a.Icon, "https://") {
		picture, err := readBounded(handler, path.Clean(a.Icon), schema.MaxIconSize*3/4-100)
		if err != nil {
			return About{}, err
		}
		kind, _ := schema.IconType(a.Icon) // which the file's parser has seen to
		a.Icon = "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(picture)
	}
	return a, schema.ValidateIcon(a.Icon)
}

// AboutFunction is what the folder of a function's handler says of it; nothing for one without a handler. Where the
// folder may be is decided by within.
func AboutFunction(fn schema.Function, within schema.Reach) (About, error) {
	if fn.Handler == "" {
		return About{}, nil
	}
	dir, err := within.Path(fn.Handler)
	if err != nil {
		return About{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return About{}, err
	}
	defer func() { _ = root.Close() }() // it was only read from
	return ReadAbout(root.FS())
}

// readBounded reads a plain file that may not have more bytes than most.
func readBounded(fsys fs.FS, name string, most int64) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a plain file", name)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read from
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = &git.LimitError{Source: name, What: fmt.Sprintf("the file has %d bytes, more", max(info.Size(), int64(len(data)))), Limit: most}
	}
	return data, err
}
