package schema

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// FunctionFileName is the file beside a handler that says what the store shows of
// the function.
const FunctionFileName = "function.yml"

// A FunctionFile is the contents of function.yml, which stands in a handler's folder:
// what people read of a function, and examples of its use. How it is built and run
// is in the stack file.
type FunctionFile struct {
	Title       string   `yaml:"title,omitempty"`
	Description string   `yaml:"description,omitempty"`
	Version     string   `yaml:"version,omitempty"` // SemVer
	Lang        string   `yaml:"lang,omitempty"`    // the template that the handler is written for, where no stack says it
	Categories  []string `yaml:"categories,omitempty"`
	Icon        string   `yaml:"icon,omitempty"` // a PNG, JPEG, WebP or SVG file in the folder, or an https: URL
	License     string   `yaml:"license,omitempty"`
	Author      string   `yaml:"author,omitempty"`

	Examples []Example `yaml:"examples,omitempty"`
}

// ParseFunctionFile reads the contents of a function.yml, as [ParseManifest] does
// those of a template.yml.
func ParseFunctionFile(file string, data []byte) (FunctionFile, error) {
	r := &reader{file: file}
	var f FunctionFile
	if v, ok := r.document(data); ok {
		seen := r.object(v, r.functionFileFields(&f))
		if at, ok := seen["categories"]; ok {
			if err := ValidateCategories(f.Categories); err != nil {
				r.refuse(at, err)
			}
		}
		if at, ok := seen["examples"]; ok && len(f.Examples) > MaxExamples {
			r.fail(at, fmt.Sprintf("are more than %d", MaxExamples), "")
		}
	}
	if len(r.problems) > 0 {
		return FunctionFile{}, joinFieldErrors(r.problems)
	}
	return f, nil
}

func (r *reader) functionFileFields(f *FunctionFile) fields {
	line := func(s string) error { return checkLength(s, maxLine) }
	return fields{
		"title":       r.str(&f.Title, line),
		"description": r.str(&f.Description, func(s string) error { return checkLength(s, maxDescription) }),
		"version":     r.str(&f.Version, ValidateVersion),
		"lang":        r.lang(&f.Lang),
		"categories":  r.strs(&f.Categories, nil),
		"icon":        r.str(&f.Icon, checkIconFile),
		"license":     r.str(&f.License, line),
		"author":      r.str(&f.Author, line),
		"examples": r.list(func(v value) {
			f.Examples = append(f.Examples, r.example(v))
		}),
	}
}

// checkIconFile returns an error unless s is a picture in the handler's folder, or
// an https: URL.
func checkIconFile(s string) error {
	if strings.HasPrefix(s, "https://") {
		return ValidateIcon(s)
	}
	if _, ok := IconType(s); !ok || !fs.ValidPath(path.Clean(s)) || strings.Contains(s, `\`) {
		return fmt.Errorf("%q is neither a .png, .jpg, .webp or .svg file in the folder nor an https: URL", s)
	}
	return nil
}

// IconType is the media type of a picture's file, which its name says.
func IconType(file string) (string, bool) {
	t, ok := map[string]string{".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".svg": "svg+xml"}[path.Ext(file)]
	return "image/" + t, ok
}

func (r *reader) example(v value) Example {
	var e Example
	status := ""
	r.object(v, fields{
		"title": r.str(&e.Title, nil), "method": r.str(&e.Method, nil), "path": r.str(&e.Path, nil),
		"headers": r.strMap(&e.Headers), "body": r.str(&e.Body, nil),
		"status": r.str(&status, nil), "contains": r.str(&e.Contains, nil), "equals": r.str(&e.Equals, nil),
	})
	var err error
	if status != "" {
		if e.Status, err = strconv.Atoi(status); err != nil {
			r.fail(v, fmt.Sprintf("status %q is not a number", status), "")
			return e
		}
	}
	if err := ValidateExample(e); err != nil {
		r.refuse(v, err)
	}
	return e
}
