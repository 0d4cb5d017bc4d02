package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fnb/internal/spelling"
	"fnb/schema/document"
)

// A Reach is how far the paths of a stack may lead: into the folder of the stack
// file, and to what Allow names. A stack may be somebody else's, and what its paths
// lead to goes into images, to builders and into manifests. The zero value allows the
// working directory alone.
type Reach struct {
	Root  string   // folder of the stack file, which its paths are relative to
	Allow []string // files and folders elsewhere, which whoever runs the command allows; absolute
}

// Path returns where a path of the stack leads: absolute, and with links resolved as
// far as it exists. It is what is to be opened then. A path that leads too far is an
// [*OutsideError].
func (r Reach) Path(path string) (string, error) {
	full, err := filepath.Abs(r.at(path))
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", path, err)
	}
	root, err := filepath.Abs(r.Root)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", r.Root, err)
	}
	leads := resolved(full)
	for _, allowed := range append([]string{root}, r.Allow...) {
		below, err := filepath.Rel(resolved(allowed), leads)
		if err == nil && filepath.IsLocal(below) {
			return leads, nil
		}
	}
	return "", &OutsideError{Path: path, Leads: leads}
}

// at is a path of the stack without its links resolved.
func (r Reach) at(path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.Root, path)
}

// resolved resolves the links of an absolute path as far as it exists.
func resolved(path string) string {
	for at, rest := filepath.Clean(path), ""; ; at, rest = filepath.Dir(at), filepath.Join(filepath.Base(at), rest) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		if at == filepath.Dir(at) {
			return path
		}
	}
}

// An OutsideError says that a path of a stack leads out of the folder of the stack
// file, to where nobody has allowed.
type OutsideError struct {
	Path  string // as the stack says it
	Leads string // absolute, with links resolved: what to allow

	Place document.FieldError // where the stack says it; the zero value is not known
}

func (e *OutsideError) Error() string {
	problem := fmt.Sprintf("%q leads out of the stack file's folder, to %s", e.Path, e.Leads)
	if e.Place.File == "" {
		return problem
	}
	at := e.Place
	at.Problem = problem
	return at.Error()
}

// Unwrap returns the place, a [*document.FieldError]; nil where it is not known.
func (e *OutsideError) Unwrap() error {
	if e.Place.File == "" {
		return nil
	}
	return &e.Place
}

// CheckPaths returns an [*OutsideError] with its place for each path of the stack that
// a function is made of or run with and that leads too far, joined.
func (s *Stack) CheckPaths(fn Function, reach Reach) error {
	var errs []error
	check := func(field, path string) {
		if path == "" {
			return
		}
		_, err := reach.Path(path)
		var outside *OutsideError
		if errors.As(err, &outside) {
			at := s.positions[field]
			outside.Place = document.FieldError{File: s.File, Line: at.Line, Column: at.Column, Field: field, Problem: "leads out of the stack file's folder"}
		}
		errs = append(errs, err)
	}
	of := func(key string) string { return document.Below(document.Below("functions", fn.Name), key) }
	check(of("handler"), fn.Handler)
	check(of("lang"), templateDir(fn.Lang))
	for _, id := range slices.Sorted(maps.Keys(fn.BuildSecrets)) {
		check(document.Below(of("build_secrets"), id), fn.BuildSecrets[id])
	}
	for i, file := range fn.EnvironmentFile {
		check(of("environment_file")+index(i), file)
	}
	for _, service := range s.ServicesOf([]Function{fn}) {
		for i, file := range service.EnvironmentFile {
			check(document.Below("services", service.Name)+".environment_file"+index(i), file)
		}
	}
	for i, path := range s.Configuration.Copy {
		check("configuration.copy"+index(i), path)
	}
	for i, src := range s.Configuration.Templates {
		if src.names(fn.Lang) {
			check("configuration.templates"+index(i)+".source", templateDir(src.Source))
		}
	}
	return errors.Join(errs...)
}

// A MissingError is a path of a stack at which nothing is.
type MissingError struct {
	Path  string
	Place document.FieldError
}

func (e *MissingError) Error() string { return e.Place.Error() }

// Unwrap returns the place, a [*document.FieldError].
func (e *MissingError) Unwrap() error { return &e.Place }

// CheckThere returns a [*MissingError] with its place, and with the path that was
// probably meant, for each path at which a build of the function would find nothing,
// joined. What is there may be of any kind.
func (s *Stack) CheckThere(fn Function, reach Reach) error {
	of := func(key string) string { return document.Below(document.Below("functions", fn.Name), key) }
	errs := []error{s.checkThere(of("handler"), fn.Handler, reach)}
	for _, id := range slices.Sorted(maps.Keys(fn.BuildSecrets)) {
		errs = append(errs, s.checkThere(document.Below(of("build_secrets"), id), fn.BuildSecrets[id], reach))
	}
	return errors.Join(errs...)
}

// CheckCopiesThere is [Stack.CheckThere] for what is copied into every handler.
func (s *Stack) CheckCopiesThere(reach Reach) error {
	var errs []error
	for i, path := range s.Configuration.Copy {
		errs = append(errs, s.checkThere("configuration.copy"+index(i), path, reach))
	}
	return errors.Join(errs...)
}

func (s *Stack) checkThere(field, path string, reach Reach) error {
	if path == "" {
		return nil
	}
	if _, err := os.Lstat(reach.at(path)); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	at := s.positions[field]
	return &MissingError{Path: path, Place: document.FieldError{
		File: s.File, Line: at.Line, Column: at.Column, Field: field, Problem: fmt.Sprintf("there is no %q", path), Near: reach.near(path),
	}}
}

// near is a path that is there and that one which is not was probably meant to be: with
// slashes, or with another last name; "" without.
func (r Reach) near(path string) string {
	if slashed := strings.ReplaceAll(path, `\`, "/"); slashed != path {
		if _, err := os.Lstat(r.at(slashed)); err == nil {
			return slashed
		}
		path = slashed
	}
	entries, err := os.ReadDir(r.at(filepath.Dir(filepath.FromSlash(path))))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	base := filepath.Base(filepath.FromSlash(path))
	if name := spelling.Nearest(base, names); name != "" {
		return strings.TrimSuffix(path, base) + name
	}
	return ""
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// templateDir is the folder of this machine that a template reference names, also that
// of a repository by a file URL; "" where it names none.
func templateDir(ref string) string {
	r, err := ParseTemplateRef(ref)
	switch {
	case err != nil:
		return ""
	case r.Kind == RefGit:
		if u, err := url.Parse(r.URL); err == nil && u.Scheme == "file" {
			return u.Path
		}
	}
	return r.Dir
}

// names reports whether the template of a function comes from this source.
func (t TemplateSource) names(lang string) bool {
	ref, err := ParseTemplateRef(lang)
	if err != nil {
		return false
	}
	ref.Range = ""
	return t.Name == lang || ref.Kind == RefName && t.Name == ref.String()
}
