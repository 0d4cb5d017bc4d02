package packaging

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"fnb/schema/document"
	"fnb/schema/runtimes"
	"fnb/templates"
	"fnb/templates/tree"
)

// A Runtime is the version of a language's runtime that an image is made with, by the build
// arg that the template has for it.
type Runtime struct {
	Name    string // "python"
	Arg     string // "PYTHON_VERSION"
	Version string // "" where neither the template nor the project says
	// From is the file that asks for it, below the stack file's folder, with the key in it;
	// "build arg PYTHON_VERSION", or "template".
	From    string
	Project bool // a file or a build arg asks for it
}

// A RuntimeError is a file that asks for a version of a runtime that cannot be had.
type RuntimeError struct {
	File  string // below the stack file's folder
	Arg   string // the build arg that goes before the file
	There string // what the template would use; "" is not known
	Err   error
}

func (e *RuntimeError) Error() string {
	if wrong, ok := errors.AsType[*document.TOMLError](e.Err); ok && wrong.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, wrong.Line, wrong.Problem)
	}
	return e.File + ": " + e.Err.Error()
}

func (e *RuntimeError) Unwrap() error { return e.Err }

// chooseRuntime finds the version of the runtime: that of a build arg, or what a file of the
// project asks for, or the template's own. The file is one of those that the template names:
// the first in the handler's folder, or else in the nearest folder around it, up to the stack
// file's, as pyenv, nvm and asdf look for it. What is the template's own anyway is no build arg.
func (a *assembly) chooseRuntime(context.Context) error {
	m := a.in.Template.Manifest.Runtime
	if m == nil || a.folder == "." {
		return nil
	}
	rt := &Runtime{Name: runtimes.Of(m.Arg), Arg: m.Arg, From: "template"}
	a.runtime = rt
	if given, ok := a.args[m.Arg]; ok {
		rt.Version, rt.From, rt.Project = given, "build arg "+m.Arg, true
		return nil
	}
	data, _, err := a.dockerfileText()
	if err != nil {
		return err
	}
	dockerfile, err := templates.ReadDockerfile(dockerfileName, data, nil)
	if err != nil || !slices.Contains(dockerfile.Summary().Args, m.Arg) {
		return nil //nolint:nilerr // where the Dockerfile is read for good, it is an error
	}
	there := dockerfile.Default(m.Arg)
	rt.Version = there
	wish, file, err := a.runtimeWish(rt.Name, m.Files)
	fail := func(err error) error { return &RuntimeError{File: file, Arg: m.Arg, There: there, Err: err} }
	if err != nil {
		return fail(err)
	}
	if file == "" {
		return nil
	}
	if wish.Unversioned && !wish.Any() {
		a.note("%s asks for %s, which is not the version of an image: fnb takes the template's %s %s", file, wish, runtimes.Title(rt.Name), there)
	}
	if wish.Unversioned {
		return nil
	}
	version, err := wish.Choose(there)
	if err != nil {
		return fail(err)
	}
	if runtimes.Older(version, m.Least) {
		a.note("%s asks for %s %s, but the template needs %s or later: fnb takes its own %s", file, runtimes.Title(rt.Name), version, m.Least, there)
		return nil
	}
	rt.Version, rt.From, rt.Project = version, file, true
	if wish.Key != "" {
		rt.From += " (" + wish.Key + ")"
	}
	if version != there {
		a.args[m.Arg] = version
	}
	return nil
}

// runtimeWish is what the project asks for, and the file that does; "" for none.
func (a *assembly) runtimeWish(runtime string, names []string) (wish runtimes.Wish, file string, err error) {
	root, err := filepath.EvalSymlinks(a.in.Root)
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return wish, "", err
	}
	below, err := filepath.Rel(root, a.dir)
	if err != nil || !filepath.IsLocal(below) { // by leave of the user; nothing around it was meant
		return a.readWish(a.handler, ".", a.in.Function.Handler, runtime, names)
	}
	project, err := os.OpenRoot(root)
	if err != nil {
		return wish, "", err
	}
	defer project.Close() //nolint:errcheck // it was only read
	for dir := filepath.ToSlash(below); ; dir = path.Dir(dir) {
		if wish, file, err = a.readWish(project, dir, dir, runtime, names); file != "" || err != nil || dir == "." {
			return wish, file, err
		}
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(runtimes.Files(), name) })
	}
}

// readWish reads the first file of a folder that asks for something. The folder is shown by
// another name. A secret asks for nothing, whatever it is called: what is no version is told.
func (a *assembly) readWish(root *os.Root, dir, shown, runtime string, names []string) (wish runtimes.Wish, file string, err error) {
	for _, name := range names {
		full := filepath.Join(root.Name(), filepath.FromSlash(path.Join(dir, name)))
		if real, err := filepath.EvalSymlinks(full); err == nil && (a.hides(full) || a.hides(real)) {
			continue
		}
		data, err := readSmall(root, path.Join(dir, name))
		if err != nil {
			return wish, path.Join(shown, name), err
		}
		if wish, ok, err := runtimes.Read(runtime, name, data); ok || err != nil {
			return wish, path.Join(shown, name), err
		}
	}
	return wish, "", nil
}

// readSmall reads a regular file that a person wrote; nil where there is none, or where it is
// so large that it is something else.
func readSmall(root *os.Root, name string) ([]byte, error) {
	info, err := root.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > runtimes.MaxBytes {
		return nil, nil //nolint:nilerr // what it may be, it asks for nothing
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	return io.ReadAll(io.LimitReader(f, runtimes.MaxBytes))
}

// dockerfileText is the Dockerfile as it is written, and its index among the entries; less
// than 0 where it is a link.
func (a *assembly) dockerfileText() (data []byte, at int, err error) {
	at = slices.IndexFunc(a.entries, func(e tree.Entry) bool { return e.Path == dockerfileName && e.Mode.IsRegular() })
	entries := a.entries
	if at >= 0 {
		entries = entries[at : at+1] // a link may lead anywhere
	}
	view, err := tree.New(entries)
	if err != nil {
		return nil, at, err
	}
	data, err = fs.ReadFile(view, dockerfileName)
	return data, at, err
}

// String says which version it is and where that comes from.
func (r *Runtime) String() string {
	return fmt.Sprintf("%s %s, from %s", runtimes.Title(r.Name), r.Version, r.From)
}
