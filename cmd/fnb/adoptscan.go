package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"fnb/internal/lazyregexp"
	"fnb/internal/plain"
	"fnb/schema"
	"fnb/templates"
)

// scan makes a stack file for a folder that has none: of the source in it, or else of
// that in its folders, each a function.
func (a *adoption) scan(ctx context.Context) error {
	whole, err := a.guess(".")
	if err != nil {
		return err
	}
	fns := a.functions(".", whole)
	if len(fns) == 0 {
		fns = a.inFolders()
	}
	if len(fns) == 0 && whole.Problem != "" && len(a.missing) == 0 {
		a.missSource(".", whole)
	}
	if len(fns) == 0 && len(a.missing) == 0 {
		return hint(fmt.Errorf("%s has neither a stack file nor source that fnb knows", relative(a.dir)), "start with a function: fnb new hello --lang go", "see all templates with: fnb template list")
	}
	if len(fns) == 0 {
		return nil
	}
	file := adoptedFile{path: filepath.Join(a.dir, "stack.yaml"), now: schema.NewStack(fns[0]), what: plain.Count(len(fns), "function", "functions")}
	for _, fn := range fns[1:] {
		if file.now, err = schema.AddFunction(file.now, fn); err != nil {
			return err
		}
	}
	a.files = append(a.files, file)
	if err := a.ignore(fns[0]); err != nil {
		return err
	}
	stack, err := a.examine(file)
	if err != nil {
		return err
	}
	return a.stack(ctx, stack, true, true)
}

// inFolders are the functions of the folders in the project, and of those in the folder
// functions.
func (a *adoption) inFolders() []schema.Function {
	var fns []schema.Function
	for _, parent := range []string{".", "functions"} {
		if info, err := a.root.Stat(parent); err != nil || !info.IsDir() {
			continue
		}
		for _, name := range folders(filepath.Join(a.dir, parent)) {
			if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || slices.Contains(noFunctions(), name) {
				continue
			}
			dir := path.Join(parent, name)
			g, err := a.guess(dir)
			if err != nil {
				a.miss(fmt.Errorf("reading %s: %w", dir, err))
				continue
			}
			for _, fn := range a.functions(dir, g) {
				if !slices.ContainsFunc(fns, func(f schema.Function) bool { return f.Name == fn.Name }) {
					fns = append(fns, fn)
				}
			}
			if g.Problem != "" {
				a.missSource(dir, g)
			}
		}
	}
	return fns
}

// noFunctions are folders that tools make, or that are about a project.
func noFunctions() []string {
	return []string{"template", "build", "dist", "node_modules", "vendor", "venv", "target", "bin", "obj", "docs", "test", "tests", "testdata", "scripts", "functions"}
}

// guess tells which template a folder of the project is for.
func (a *adoption) guess(dir string) (templates.Guess, error) {
	root, err := a.root.OpenRoot(dir)
	if err != nil {
		return templates.Guess{}, errors.Unwrap(err)
	}
	g, err := templates.GuessTemplate(root.FS())
	return g, errors.Join(err, root.Close())
}

var notInName = lazyregexp.New(`[^a-z0-9]+`)

// functions is the function of a folder, if a template takes it.
func (a *adoption) functions(dir string, g templates.Guess) []schema.Function {
	if g.Lang == "" {
		return nil
	}
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(filepath.Base(filepath.Join(a.dir, dir))), "-"), "-")
	name = strings.Trim(name[:min(len(name), 63)], "-")
	if schema.ValidateFunctionName(name) != nil {
		name = "function"
	}
	if g.Note != "" {
		a.note("%s: %s", name, g.Note)
	}
	return []schema.Function{{Name: name, Lang: g.Lang, Handler: dotted(dir), Image: imageName(a.o.prefix, name), FProcess: g.FProcess}}
}

// missSource notes source of which no function can be made.
func (a *adoption) missSource(dir string, g templates.Guess) {
	a.miss(hint(fmt.Errorf("%s: it is %s, and %s", relative(filepath.Join(a.dir, dir)), g.Language, g.Problem), g.Fix))
}

// ignore keeps fnb's files out of a handler that is the project's folder: what fnb.lock
// pins would be among the files that it is pinned for.
func (a *adoption) ignore(fn schema.Function) error {
	if fn.Handler != "." {
		return nil
	}
	there, err := a.has(".fnbignore")
	if there {
		a.note("leave fnb's own files out of the handler: add stack.yaml and fnb.lock to .fnbignore")
	}
	if there || err != nil {
		return err
	}
	a.files = append(a.files, adoptedFile{path: filepath.Join(a.dir, ".fnbignore"), now: []byte("stack.yaml\nfnb.lock\n.fnbignore\n"), what: "fnb's own files are not part of the handler"})
	return nil
}
