package schema

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed json/*.schema.json
var jsonSchemas embed.FS

// JSONSchema returns the JSON Schema (draft 2020-12) of a file: name is
// "stack", "template", "function", "lock", "report", "policy", or one of a store's files: "store",
// "namespace", "package", "record", "yank", "owners", "signature". For another name the error wraps
// [fs.ErrNotExist]. The schemas are made from the types of this package; an
// editor can check a file with them as it is typed. They are a little more
// lenient than this package's own functions, and do not see repeated keys.
func JSONSchema(name string) ([]byte, error) {
	data, err := fs.ReadFile(jsonSchemas, "json/"+name+".schema.json")
	if err != nil {
		return nil, fmt.Errorf("JSON Schema %q: %w", name, fs.ErrNotExist)
	}
	return data, nil
}
