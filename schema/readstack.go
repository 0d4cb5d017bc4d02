package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"fnb/schema/document"
	"fnb/schema/words"
)

// FindStack returns the path of the stack file that a command in dir works
// with: stack.yaml or else stack.yml in dir, or in the nearest folder above it.
// If there is none, the error wraps [fs.ErrNotExist].
func FindStack(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("looking for a stack file in %s: %w", dir, err)
	}
	for folder := abs; ; folder = filepath.Dir(folder) {
		for _, name := range []string{"stack.yaml", "stack.yml"} {
			path := filepath.Join(folder, name)
			info, err := os.Stat(path)
			switch {
			case err == nil && !info.IsDir():
				return path, nil
			case err != nil && !errors.Is(err, fs.ErrNotExist):
				return "", fmt.Errorf("looking for a stack file: %w", err)
			}
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("no stack.yaml or stack.yml in %s or a folder above it: %w", abs, fs.ErrNotExist)
		}
	}
}

// ReadStack reads the stack file at path, as [ParseStack] does. File of the
// stack is the absolute path; errors name the file as path does.
func ReadStack(path string, env func(string) (string, bool)) (*Stack, error) {
	data, err := document.ReadFile(path, document.MaxBytes)
	if err != nil {
		return nil, err
	}
	stack, err := ParseStack(path, data, env)
	if err != nil {
		return nil, err
	}
	if stack.File, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return stack, nil
}

// ParseStack reads the contents of a stack file. The name of the file is only
// used for errors and for File of the stack.
//
// In every value, not in keys, ${VAR}, ${VAR:-default} and $$ are replaced with
// the help of env, which is usually [os.LookupEnv]; that happens after parsing,
// so that a value cannot change the structure of the document. If env is nil,
// nothing is replaced, and a value that has a $ in it is kept as it is written
// and not checked further.
//
// Top-level keys that begin with x- are left to the user, as a place for
// anchors. All problems of the document are returned at once, each a
// [*document.FieldError], joined. A variable that is not set is none of them: it is an
// error where its value is used, which [Stack.Needs] tells.
func ParseStack(file string, data []byte, env func(string) (string, bool)) (*Stack, error) {
	stack, err := ExamineStack(file, data, env)
	if err != nil {
		return nil, err
	}
	return stack, nil
}

// ExamineStack is [ParseStack] for whoever wants to know more than that there are
// problems: beside them it returns what could be read, never nil.
func ExamineStack(file string, data []byte, env func(string) (string, bool)) (*Stack, error) {
	r := &reader{Reader: document.Reader{File: file, Raw: env == nil, Positions: map[string]document.Spot{}}}
	if env != nil {
		r.Substitute = document.SubstituteIn(env)
	}
	stack := &Stack{File: file, positions: r.Positions}
	if v, ok := r.Document(data); ok {
		r.stack(v, stack)
	}
	for _, u := range r.Unset {
		stack.unset = append(stack.unset, unsetValueOf(u))
	}
	return stack, document.Join(r.Problems)
}

// A reader reads what people write for fnb.
type reader struct {
	document.Reader
	uses  []use // of services, by functions
	alone bool  // the functions are those of a part of a stack, without its services
}

func (r *reader) stack(v document.Value, stack *Stack) {
	entries, ok := r.Entries(v)
	if !ok {
		return
	}
	services := map[string]document.Value{}
	known := r.stackFields(stack, services)
	var keys []document.Entry
	for _, e := range entries {
		if !strings.HasPrefix(e.Key, "x-") {
			keys = append(keys, e)
		}
	}
	seen := r.Keys(keys, known)
	if _, ok := seen["functions"]; !ok {
		r.Fail(document.Value{Field: "functions", Line: v.Line, Column: v.Column}, "is missing", "")
	}
	r.checkServices(stack, services)
}

func (r *reader) stackFields(stack *Stack, services map[string]document.Value) document.Fields {
	return document.Fields{
		"version": r.Str(&stack.Version, func(s string) error {
			if s != "1.0" {
				return fmt.Errorf("the version %q is not known; write 1.0", s)
			}
			return nil
		}),
		"provider": func(v document.Value) {
			r.Object(v, document.Fields{
				"name":    r.Str(&stack.Provider.Name, checkWord("openfaas")),
				"gateway": r.Str(&stack.Provider.Gateway, nil),
			})
		},
		"functions": func(v document.Value) {
			entries, _ := r.Entries(v)
			for _, e := range entries {
				stack.Functions = append(stack.Functions, r.function(e))
			}
		},
		"services": func(v document.Value) {
			entries, _ := r.Entries(v)
			for _, e := range entries {
				services[e.Key] = e.At
				stack.Services = append(stack.Services, r.service(e))
			}
		},
		"configuration": func(v document.Value) {
			r.Object(v, document.Fields{
				"templates": r.List(func(v document.Value) {
					stack.Configuration.Templates = append(stack.Configuration.Templates, r.templateSource(v))
				}),
				"copy": r.Strs(&stack.Configuration.Copy, nil),
			})
		},
	}
}

// function reads one function and checks it as a whole.
func (r *reader) function(e document.Entry) Function {
	r.Within = e.Key
	defer func() { r.Within = "" }()
	fn := Function{Name: e.Key, Line: e.At.Line}
	if err := ValidateFunctionName(e.Key); err != nil {
		r.Refuse(e.At, err)
	}
	seen := r.Object(e.Value, r.functionFields(&fn))
	r.Require(e.At, seen, "image")
	if fn.SkipBuild {
		return fn
	}
	r.Require(e.At, seen, "lang", "handler")
	if ref, err := ParseImageRef(fn.Image); err == nil && ref.Digest != "" {
		r.Fail(seen["image"], fmt.Sprintf("%q has a digest, which an image that fnb builds cannot have", fn.Image), "")
	}
	return fn
}

func (r *reader) functionFields(fn *Function) document.Fields {
	return document.Fields{
		"lang":                     r.lang(&fn.Lang),
		"handler":                  r.Str(&fn.Handler, nil),
		"image":                    r.Str(&fn.Image, ValidateImage),
		"skip_build":               r.Boolean(&fn.SkipBuild),
		"build_options":            r.Strs(&fn.BuildOptions, nil),
		"build_args":               r.StrMap(&fn.BuildArgs),
		"build_secrets":            r.StrMap(&fn.BuildSecrets),
		"platforms":                r.platforms(&fn.Platforms),
		"watchdog":                 r.Str(&fn.Watchdog, func(s string) error { return checkWatchdog(s, words.WatchdogDefault, words.WatchdogNone) }),
		"fprocess":                 r.Str(&fn.FProcess, nil),
		"environment":              r.StrMap(&fn.Environment),
		"environment_file":         r.Strs(&fn.EnvironmentFile, nil),
		"secrets":                  r.Strs(&fn.Secrets, nil),
		"constraints":              r.Strs(&fn.Constraints, nil),
		"labels":                   r.StrMap(&fn.Labels),
		"annotations":              r.StrMap(&fn.Annotations),
		"limits":                   r.resources(&fn.Limits),
		"requests":                 r.resources(&fn.Requests),
		"readonly_root_filesystem": r.Boolean(&fn.ReadOnlyRootFilesystem),
		"namespace":                r.Str(&fn.Namespace, nil),
		"run":                      r.run(&fn.Run),
		"test": func(v document.Value) {
			fn.Test = &FunctionTest{}
			r.Object(v, document.Fields{
				"target": r.Str(&fn.Test.Target, nil), "skip": r.Strs(&fn.Test.Skip, nil), "request": r.testRequest(&fn.Test.Request),
			})
		},
	}
}

// lang returns a function that reads a template reference. "Dockerfile" is
// dockerfile, as OpenFaaS means it.
func (r *reader) lang(dst *string) func(document.Value) {
	return r.Str(dst, func(s string) error {
		if s == "Dockerfile" {
			*dst = "dockerfile"
			return nil
		}
		_, err := ParseTemplateRef(s)
		return err
	})
}

func (r *reader) resources(dst **Resources) func(document.Value) {
	return func(v document.Value) {
		var res Resources
		if v.Node != nil {
			*dst = &res
		}
		r.Object(v, document.Fields{"memory": r.Str(&res.Memory, nil), "cpu": r.Str(&res.CPU, nil)})
	}
}

// platforms returns a function that reads platforms: a text with commas, or a list.
func (r *reader) platforms(dst *Platforms) func(document.Value) {
	add := func(platforms ...Platform) {
		for _, p := range platforms {
			if !slices.Contains(*dst, p) {
				*dst = append(*dst, p)
			}
		}
	}
	return func(v document.Value) {
		if _, ok := v.Node.(*ast.SequenceNode); ok {
			r.List(func(v document.Value) {
				r.NonEmpty(new(string), func(s string) error {
					p, err := ParsePlatform(s)
					if err == nil {
						add(p)
					}
					return err
				})(v)
			})(v)
			return
		}
		if _, ok := document.ScalarText(v.Node); !ok {
			r.WrongType(v, "a string with commas or a list")
			return
		}
		r.Str(new(string), func(s string) error {
			all, err := ParsePlatforms(s)
			add(all...)
			return err
		})(v)
	}
}

func (r *reader) templateSource(v document.Value) TemplateSource {
	var source TemplateSource
	seen := r.Object(v, document.Fields{
		"name": r.Str(&source.Name, func(s string) error {
			ref, err := ParseTemplateRef(s)
			if err == nil && ref.Kind != RefName {
				err = fmt.Errorf("%q is not the name of a template", s)
			}
			return err
		}),
		"source": r.Str(&source.Source, func(s string) error {
			ref, err := ParseTemplateRef(s)
			if err == nil && ref.Kind == RefName {
				err = fmt.Errorf("%q is neither a git URL nor a folder; a folder is written ./%s", s, s)
			}
			return err
		}),
	})
	r.Require(v, seen, "name")
	return source
}
