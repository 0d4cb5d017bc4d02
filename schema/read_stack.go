package schema

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
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
	data, err := readFile(path, maxBytes)
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

// readFile returns the contents of a file: of one that is larger than most bytes one
// byte more, which its parser refuses.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return data, nil
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
// [*FieldError], joined. A variable that is not set is none of them: it is an
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
	r := &reader{file: file, raw: env == nil, positions: map[string]spot{}}
	if env != nil {
		r.substitute = substituteIn(env)
	}
	stack := &Stack{File: file, positions: r.positions}
	if v, ok := r.document(data); ok {
		r.stack(v, stack)
	}
	stack.unset = r.unset
	return stack, joinFieldErrors(r.problems)
}

func (r *reader) stack(v value, stack *Stack) {
	entries, ok := r.entries(v)
	if !ok {
		return
	}
	known := r.stackFields(stack)
	var keys []entry
	for _, e := range entries {
		if !strings.HasPrefix(e.key, "x-") {
			keys = append(keys, e)
		}
	}
	seen := r.keys(keys, known)
	if _, ok := seen["functions"]; !ok {
		r.fail(value{field: "functions", line: v.line, col: v.col}, "is missing", "")
	}
}

func (r *reader) stackFields(stack *Stack) fields {
	return fields{
		"version": r.str(&stack.Version, func(s string) error {
			if s != "1.0" {
				return fmt.Errorf("the version %q is not known; write 1.0", s)
			}
			return nil
		}),
		"provider": func(v value) {
			r.object(v, fields{
				"name":    r.str(&stack.Provider.Name, checkWord("openfaas")),
				"gateway": r.str(&stack.Provider.Gateway, nil),
			})
		},
		"functions": func(v value) {
			entries, _ := r.entries(v)
			for _, e := range entries {
				stack.Functions = append(stack.Functions, r.function(e))
			}
		},
		"configuration": func(v value) {
			r.object(v, fields{
				"templates": r.list(func(v value) {
					stack.Configuration.Templates = append(stack.Configuration.Templates, r.templateSource(v))
				}),
				"copy": r.strs(&stack.Configuration.Copy, nil),
			})
		},
	}
}

// function reads one function and checks it as a whole.
func (r *reader) function(e entry) Function {
	r.within = e.key
	defer func() { r.within = "" }()
	fn := Function{Name: e.key, Line: e.at.line}
	if err := ValidateFunctionName(e.key); err != nil {
		r.refuse(e.at, err)
	}
	seen := r.object(e.value, r.functionFields(&fn))
	r.require(e.at, seen, "image")
	if fn.SkipBuild {
		return fn
	}
	r.require(e.at, seen, "lang", "handler")
	if image, ok := seen["image"]; ok && strings.Contains(fn.Image, "@") && checkImage(fn.Image) == nil {
		r.fail(image, fmt.Sprintf("%q has a digest, which an image that is to be built cannot have", fn.Image), "")
	}
	return fn
}

func (r *reader) functionFields(fn *Function) fields {
	return fields{
		"lang":                     r.lang(&fn.Lang),
		"handler":                  r.str(&fn.Handler, nil),
		"image":                    r.str(&fn.Image, checkImage),
		"skip_build":               r.boolean(&fn.SkipBuild),
		"build_options":            r.strs(&fn.BuildOptions, nil),
		"build_args":               r.strMap(&fn.BuildArgs),
		"build_secrets":            r.strMap(&fn.BuildSecrets),
		"platforms":                r.platforms(&fn.Platforms),
		"watchdog":                 r.str(&fn.Watchdog, func(s string) error { return checkWatchdog(s, "default", "none") }),
		"fprocess":                 r.str(&fn.FProcess, nil),
		"environment":              r.strMap(&fn.Environment),
		"environment_file":         r.strs(&fn.EnvironmentFile, nil),
		"secrets":                  r.strs(&fn.Secrets, nil),
		"constraints":              r.strs(&fn.Constraints, nil),
		"labels":                   r.strMap(&fn.Labels),
		"annotations":              r.strMap(&fn.Annotations),
		"limits":                   r.resources(&fn.Limits),
		"requests":                 r.resources(&fn.Requests),
		"readonly_root_filesystem": r.boolean(&fn.ReadOnlyRootFilesystem),
		"namespace":                r.str(&fn.Namespace, nil),
		"test": func(v value) {
			fn.Test = &FunctionTest{}
			r.object(v, fields{"target": r.str(&fn.Test.Target, nil), "skip": r.strs(&fn.Test.Skip, nil)})
		},
	}
}

// lang returns a function that reads a template reference. "Dockerfile" is
// dockerfile, as OpenFaaS means it.
func (r *reader) lang(dst *string) func(value) {
	return r.str(dst, func(s string) error {
		if s == "Dockerfile" {
			*dst = "dockerfile"
			return nil
		}
		_, err := ParseTemplateRef(s)
		return err
	})
}

func (r *reader) resources(dst **Resources) func(value) {
	return func(v value) {
		var res Resources
		if v.node != nil {
			*dst = &res
		}
		r.object(v, fields{"memory": r.str(&res.Memory, nil), "cpu": r.str(&res.CPU, nil)})
	}
}

// platforms returns a function that reads platforms: a text with commas, or a list.
func (r *reader) platforms(dst *Platforms) func(value) {
	add := func(platforms ...Platform) {
		for _, p := range platforms {
			if !slices.Contains(*dst, p) {
				*dst = append(*dst, p)
			}
		}
	}
	return func(v value) {
		if _, ok := v.node.(*ast.SequenceNode); ok {
			r.list(func(v value) {
				r.nonEmpty(new(string), func(s string) error {
					p, err := ParsePlatform(s)
					if err == nil {
						add(p)
					}
					return err
				})(v)
			})(v)
			return
		}
		if _, ok := scalarText(v.node); !ok {
			r.wrongType(v, "a text with commas or a list")
			return
		}
		r.str(new(string), func(s string) error {
			all, err := ParsePlatforms(s)
			add(all...)
			return err
		})(v)
	}
}

func (r *reader) templateSource(v value) TemplateSource {
	var source TemplateSource
	seen := r.object(v, fields{
		"name": r.str(&source.Name, func(s string) error {
			ref, err := ParseTemplateRef(s)
			if err == nil && ref.Kind != RefName {
				err = fmt.Errorf("%q is not the name of a template", s)
			}
			return err
		}),
		"source": r.str(&source.Source, func(s string) error {
			ref, err := ParseTemplateRef(s)
			if err == nil && ref.Kind == RefName {
				err = fmt.Errorf("%q is neither a git URL nor a folder; a folder is written ./%s", s, s)
			}
			return err
		}),
	})
	r.require(v, seen, "name")
	return source
}
