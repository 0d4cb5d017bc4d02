package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"fnb/schema/document"
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
	Secrets     []string `yaml:"secrets,omitempty"` // names of those that it reads, where no stack says it

	Examples []Example `yaml:"examples,omitempty"`
	Try      *Trial    `yaml:"try,omitempty"`
}

// ParseFunctionFile reads the contents of a function.yml, as [ParseManifest] does
// those of a template.yml.
func ParseFunctionFile(file string, data []byte) (FunctionFile, error) {
	r := &reader{Reader: document.Reader{File: file}}
	var f FunctionFile
	if v, ok := r.Document(data); ok {
		seen := r.Object(v, r.functionFileFields(&f))
		if at, ok := seen["categories"]; ok {
			if err := validateCategories(f.Categories); err != nil {
				r.Refuse(at, err)
			}
		}
		if at, ok := seen["examples"]; ok && len(f.Examples) > MaxExamples {
			r.Fail(at, fmt.Sprintf("has more than %d entries", MaxExamples), "")
		}
	}
	if len(r.Problems) > 0 {
		return FunctionFile{}, document.Join(r.Problems)
	}
	return f, nil
}

func (r *reader) functionFileFields(f *FunctionFile) document.Fields {
	line := func(s string) error { return checkLength(s, maxLine) }
	return document.Fields{
		"title":       r.Str(&f.Title, line),
		"description": r.Str(&f.Description, func(s string) error { return checkLength(s, maxDescription) }),
		"version":     r.Str(&f.Version, ValidateVersion),
		"lang":        r.lang(&f.Lang),
		"categories":  r.Strs(&f.Categories, nil),
		"icon":        r.Str(&f.Icon, checkIconFile),
		"license":     r.Str(&f.License, line),
		"author":      r.Str(&f.Author, line),
		"secrets":     r.Strs(&f.Secrets, checkSecretName),
		"try": func(v document.Value) {
			f.Try = &Trial{}
			r.Object(v, document.Fields{"environment": r.StrMap(&f.Try.Environment), "secrets": r.StrMap(&f.Try.Secrets)})
			if err := validateTrial(*f.Try); err != nil {
				r.Refuse(v, err)
			}
		},
		"examples": r.List(func(v document.Value) {
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

func (r *reader) example(v document.Value) Example {
	var e Example
	fields := r.requestFields(&e)
	fields["title"] = r.Str(&e.Title, checkExampleTitle)
	fields["equals"] = r.Str(&e.Equals, checkExampleText)
	r.Object(v, fields)
	if err := checkAnswer(e); err != nil {
		r.Refuse(v, err)
	}
	return e
}

// requestFields are a request, and what people say of its answer.
func (r *reader) requestFields(e *Example) document.Fields {
	return document.Fields{
		"method": r.Str(&e.Method, checkMethod),
		"path":   r.Str(&e.Path, checkRequestPath),
		"headers": func(v document.Value) {
			r.StrMap(&e.Headers)(v)
			if err := errors.Join(checkHeaders(e.Headers), checkFraming(e.Headers)); err != nil {
				r.Refuse(v, err)
			}
		},
		"body": func(v document.Value) {
			switch v.Node.(type) {
			case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode: // JSON that was written as it is
				r.WrongType(v, "a string in quotes")
			default:
				r.Str(&e.Body, checkExampleText)(v)
			}
		},
		"status": r.Str(new(string), func(s string) (err error) {
			if e.Status, err = strconv.Atoi(s); err != nil {
				return fmt.Errorf("%q is not a number", s)
			}
			return checkStatus(e.Status)
		}),
		"contains": r.Str(&e.Contains, checkExampleText),
	}
}
