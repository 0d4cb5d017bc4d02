package lists

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"fnb/schema/document"
)

// A text is a file that was read.
type text struct {
	name string
	data []byte
}

// problem is an error at the first line that has a string; of the whole file if none does.
func (t text) problem(near, format string, args ...any) error {
	line := 0
	if i := bytes.Index(t.data, []byte(near)); i >= 0 && near != "" {
		line = lineAt(t.data, i)
	}
	return t.at(line, format, args...)
}

func (t text) at(line int, format string, args ...any) error {
	return &document.FieldError{File: t.name, Line: line, Problem: fmt.Sprintf(format, args...)}
}

// An OutsideError is a file or folder that packages are not installed with.
type OutsideError struct {
	Path string // of [Search.Files]; it begins with ".." if it is not in it
}

func (e *OutsideError) Error() string {
	return e.Path + " lies outside of the folder that packages are installed from"
}

// outside is an error about a path that leads out of the root.
func (t text) outside(near, name string) error {
	line := 0
	if i := bytes.Index(t.data, []byte(near)); i >= 0 {
		line = lineAt(t.data, i)
	}
	return &document.FieldError{File: t.name, Line: line, Problem: near + " lies outside of the folder that packages are installed from", Err: &OutsideError{name}}
}

// lineAt is the line of an offset, from 1.
func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), len(data))], []byte("\n"))
}

// open reads a file of at most so many bytes.
func (f *finder) open(name string, most int) (text, error) {
	file, err := f.Files.Open(name)
	if err != nil {
		return text{}, err
	}
	data, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return text{}, err
	}
	t := text{name, bytes.TrimPrefix(data, []byte("\ufeff"))}
	if len(data) > most {
		return text{}, t.at(0, "is larger than %d bytes", most)
	}
	if f.left -= len(data); f.left < 0 {
		return text{}, t.at(0, "goes over the limit: the package lists have more than %d bytes together", maxBytes)
	}
	return t, nil
}

// toml reads a manifest that is TOML, once.
func (f *finder) toml(name string) (text, table, error) { return f.manifestAt(name, text.toml) }

// json reads a manifest that is a JSON object, once.
func (f *finder) json(name string) (text, table, error) { return f.manifestAt(name, text.json) }

func (f *finder) manifestAt(name string, decode func(text) (table, error)) (text, table, error) {
	if m, ok := f.decoded[name]; ok {
		return m.text, m.table, nil
	}
	t, err := f.open(name, maxManifest)
	if err != nil {
		return t, nil, err
	}
	v, err := decode(t)
	if err == nil {
		f.decoded[name] = decoded{t, v}
	}
	return t, v, err
}

// step counts what is looked at.
func (f *finder) step(t text) error {
	if f.steps--; f.steps < 0 {
		return t.at(0, "names more than the %d files and folders that package lists may", maxSteps)
	}
	return nil
}

// compare counts names that a pattern is compared with.
func (f *finder) compare(t text, names int) error {
	if f.compared -= names; f.compared < 0 {
		return t.at(0, "has too many patterns for so many folders: more than %d comparisons", maxCompared)
	}
	return nil
}

// A decoded is a manifest that was read.
type decoded struct {
	text  text
	table table
}

// A table is a decoded object of JSON or TOML.
type table = map[string]any

// json reads a manifest that is a JSON object.
func (t text) json() (table, error) {
	var out table
	err := t.unmarshal(t.data, &out, "a package.json")
	return out, err
}

// unmarshal decodes the JSON of a text, whose lines data has. What is JSON, and not as out
// has it, is not of that kind.
func (t text) unmarshal(data []byte, out any, kind string) error {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return t.at(1, "is written in UTF-16, which no package manager reads: save it as UTF-8")
	}
	err := json.Unmarshal(data, out)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return t.at(lineAt(data, int(syntax.Offset)), "is not JSON: %s", syntax)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return t.at(lineAt(data, int(wrong.Offset)), "is not %s: %s is a JSON %s", kind, cmp.Or(wrong.Field, "it"), wrong.Value)
	}
	return err
}

// toml reads a TOML document.
func (t text) toml() (table, error) {
	var out table
	err := document.ReadTOML(t.data, &out)
	if wrong, ok := errors.AsType[*document.TOMLError](err); ok {
		return nil, t.at(wrong.Line, "%s", wrong.Problem)
	}
	return out, err
}

// at returns the value at keys below a table; nil if there is none.
func at(v any, keys ...string) any {
	for _, k := range keys {
		t, _ := v.(table)
		v = t[k]
	}
	return v
}

// tableAt returns the table at keys; an empty one if there is none.
func tableAt(v any, keys ...string) table {
	t, _ := at(v, keys...).(table)
	return t
}

// stringAt returns the string at keys; "" if there is none.
func stringAt(v any, keys ...string) string {
	s, _ := at(v, keys...).(string)
	return s
}

// elements returns the elements of a list; a value that is none, alone.
func elements(v any) []any {
	switch x := v.(type) {
	case nil:
		return nil
	case []any:
		return x
	case []table:
		var all []any
		for _, e := range x {
			all = append(all, e)
		}
		return all
	}
	return []any{v}
}

// stringsIn returns the strings of a list, or a string alone.
func stringsIn(v any) []string {
	var all []string
	for _, e := range elements(v) {
		if s, ok := e.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// sorted returns the keys of a table in order, so that the first problem is the same each
// time.
func sorted(t table) []string { return slices.Sorted(maps.Keys(t)) }

// take adds the file or the folder that a list names, relative to the folder base, and
// returns its path; near is what the list has.
func (f *finder) take(t text, base, near string) (name string, folder bool, err error) {
	name, err = f.resolve(t, base, near, near)
	if err != nil {
		return "", false, err
	}
	switch {
	case f.has(name):
		f.files[name] = true
	case f.hasFolder(name):
		f.folders[name] = true
		return name, true, nil
	default:
		return "", false, t.problem(near, "%s is not there", near)
	}
	return name, false, nil
}

// resolve returns the path that a list means by ref, relative to the folder base.
func (f *finder) resolve(t text, base, ref, near string) (string, error) {
	if err := f.step(t); err != nil {
		return "", err
	}
	clean := strings.ReplaceAll(ref, `\`, "/")
	name := path.Join(base, clean)
	if path.IsAbs(clean) || strings.HasPrefix(clean, "~") || len(clean) > 1 && clean[1] == ':' || strings.Contains(clean, "\x00") {
		return "", t.problem(near, "%s is a path of one machine; name it relative to the handler's folder", near)
	}
	if name == ".." || strings.HasPrefix(name, "../") || !Inside(f.root, name) {
		return "", t.outside(near, name)
	}
	return name, nil
}
