package main

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
	"strings"

	"fnb/internal/lazyregexp"
	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/schema"
	"fnb/schema/document"
	"fnb/store"
	"fnb/store/git"
	"fnb/templates"
)

// readStack takes in a stack file of the project.
func (a *adoption) readStack(ctx context.Context, name string) error {
	old, err := a.read(name)
	if err != nil {
		return err
	}
	file := adoptedFile{path: filepath.Join(a.dir, name), old: old, now: old}
	var changes []string
	if file.now, err = schema.CorrectProvider(old); err != nil {
		a.miss(hint(fmt.Errorf("%s: %w", relative(file.path), err), "write the name yourself: provider: {name: openfaas}"))
		file.now = old
	} else if len(file.now) != len(old) {
		changes = append(changes, "the provider's name is openfaas")
	}
	stack, err := a.examine(file)
	for _, src := range a.sources(stack) {
		text, err := schema.AddTemplateSource(file.now, src)
		if err != nil {
			a.miss(hint(err, "add it yourself: configuration: {templates: [{name: "+src.Name+", source: "+src.Source+"}]}"))
			continue
		}
		file.now = text
		stack.Configuration.Templates = append(stack.Configuration.Templates, src)
		changes = append(changes, "the source of "+src.Name)
	}
	if file.what = strings.Join(changes, ", "); file.what != "" {
		a.files = append(a.files, file)
	}
	if !a.o.dryRun { // lines are those of the file that there is
		stack, err = a.examine(file)
	}
	for _, e := range flatten(err) {
		if e != nil {
			a.miss(ofField(e))
		}
	}
	if base := path.Base(filepath.ToSlash(name)); base != "stack.yaml" && base != "stack.yml" {
		a.note("fnb looks for stack.yaml and stack.yml; name this stack file with: -f %s", relative(file.path))
	}
	return a.stack(ctx, stack, false, err == nil)
}

// adoptedBytes is how much of a file of the project is read; a stack file has no more.
const adoptedBytes = 1 << 20

// read returns a plain file of the project, of a large one the beginning and one byte
// more than is read.
func (a *adoption) read(name string) ([]byte, error) {
	there, err := a.has(name)
	if err == nil && !there {
		err = hint(fmt.Errorf("reading %s: %w", relative(filepath.Join(a.dir, name)), fs.ErrNotExist), "leave out -f, and fnb looks for the stack file")
	}
	if err != nil {
		return nil, err
	}
	f, err := a.root.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, adoptedBytes+1))
	return data, errors.Join(err, f.Close())
}

// examine reads the stack that a file is to be.
func (a *adoption) examine(f adoptedFile) (*schema.Stack, error) {
	stack, err := schema.ExamineStack(relative(f.path), f.now, os.LookupEnv)
	stack.File = f.path
	return stack, err
}

var unsetName = lazyregexp.New(`^the environment variable ([A-Za-z_][A-Za-z0-9_]*) is not set`)

// ofField adds to a problem of a stack file what can be done.
func ofField(err error) error {
	f, ok := errors.AsType[*document.FieldError](err)
	if !ok {
		return err
	}
	if m := unsetName.FindStringSubmatch(f.Problem); m != nil {
		return hint(err, "set it: export "+m[1]+"=VALUE, or write a default into the stack file")
	}
	if f.Problem != "is not a known key" || f.Near != "" {
		return err
	}
	key := f.Field[strings.LastIndex(f.Field, ".")+1:]
	if strings.HasSuffix(key, "_timeout") || key == "write_debug" || key == "max_inflight" {
		return hint(err, "it is a variable of the watchdog, and does nothing here: write it below environment")
	}
	return hint(err, "remove the key; faas-cli ignores it")
}

// sources are what the stack does not say: where templates are from that OpenFaaS's
// template store has, and that are neither in the project nor part of fnb.
func (a *adoption) sources(stack *schema.Stack) []schema.TemplateSource {
	var add []schema.TemplateSource
	for _, fn := range stack.Functions {
		ref, err := schema.ParseTemplateRef(fn.Lang)
		if err != nil || fn.SkipBuild || ref.Kind != schema.RefName || ref.Store != "" || ref.Namespace != "" || a.hasTemplate(ref) {
			continue
		}
		url := store.OpenFaaSRepository(ref.Name)
		known := slices.ContainsFunc(append(add, stack.Configuration.Templates...), func(s schema.TemplateSource) bool {
			return s.Name == ref.Name || s.Name == fn.Lang // without a source it is found as OpenFaaS's
		})
		if url != "" && !known {
			add = append(add, schema.TemplateSource{Name: ref.Name, Source: url})
		}
	}
	return add
}

// hasTemplate reports whether a template needs no source. A folder has no versions.
func (a *adoption) hasTemplate(ref schema.TemplateRef) bool {
	if info, err := a.root.Stat("template/" + ref.Name); ref.Range == "" && err == nil && info.IsDir() {
		return true
	}
	_, err := templates.OpenOfficial(ref.Name)
	return err == nil
}

// stack takes in the functions of a stack, and pins what those need that can be built.
func (a *adoption) stack(ctx context.Context, stack *schema.Stack, isNew, valid bool) error {
	shown := adoptedStack{File: relative(stack.File), New: isNew, Functions: []adoptedFunction{}}
	may := schema.Reach{Root: filepath.Dir(stack.File), Allow: a.wanted.settings.Allow}
	if err := here(stack.CheckCopiesThere(may)); err != nil {
		valid = false
		for _, e := range flatten(err) {
			a.miss(e)
		}
	}
	var ready []schema.Function
	for _, fn := range stack.Functions {
		shown.Functions = append(shown.Functions, adoptedFunction{Name: fn.Name, Lang: fn.Lang, Handler: fn.Handler, Image: fn.Image})
		if fn.SkipBuild {
			continue
		}
		a.ofFunction(fn)
		if err := here(stack.CheckThere(fn, may)); err != nil {
			for _, e := range flatten(err) {
				a.miss(e)
			}
		} else if stack.Needs([]schema.Function{fn}, schema.SourceKeys()) == nil && fn.Lang != "" && fn.Handler != "" {
			ready = append(ready, fn)
		}
	}
	for _, e := range flatten(stack.Needs(stack.Functions, schema.BuildKeys())) {
		if e != nil {
			a.miss(ofField(relativeField(e)))
		}
	}
	var err error
	if valid && len(ready) > 0 {
		err = a.pin(ctx, stack, ready, &shown)
	}
	a.out.Stacks = append(a.out.Stacks, shown)
	return err
}

// relativeField is a problem of a stack file as a person would name the file.
func relativeField(err error) error {
	if f, ok := errors.AsType[*document.FieldError](err); ok && filepath.IsAbs(f.File) {
		at := *f
		at.File = relative(f.File)
		return &at
	}
	return err
}

// folders are the names of a folder's folders.
func folders(dir string) []string {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() { // opening a pipe would wait for its other end
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil // what cannot be read cannot be suggested
	}
	defer func() { _ = f.Close() }() // it was only read from
	entries, _ := f.ReadDir(adoptedFolders)
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}

// adoptedFolders is how many names of a folder are looked at.
const adoptedFolders = 1000

// ofFunction notes what does not keep a function from being built, and will be missed
// later.
func (a *adoption) ofFunction(fn schema.Function) {
	if fn.Image != "" && !strings.Contains(fn.Image, "/") {
		a.note("the image %s of %s has no registry and owner, which fnb push needs: write image: ghcr.io/OWNER/%s", fn.Image, fn.Name, fn.Image)
	}
	for _, secret := range fn.Secrets {
		if there, err := a.has(path.Join(".secrets", secret)); there && err == nil {
			a.note("the secret %s is in .secrets: fnb run %s --secret %s", secret, plain.ShellWord(fn.Name), plain.ShellWord("id="+secret+",src=.secrets/"+secret))
		}
	}
}

// pin pins what functions need, as fnb lock does.
func (a *adoption) pin(ctx context.Context, stack *schema.Stack, fns []schema.Function, shown *adoptedStack) error {
	p, err := a.g.pipelineOf(stack, a.wanted)
	if err != nil {
		return err
	}
	defer p.Close()
	if a.pins != nil {
		p.Pins = a.pins
	}
	a.pins = p.Pins
	plans, err := p.Pin(ctx, fns)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if run, ok := errors.AsType[*pipeline.RunError](err); ok {
		for _, f := range run.Failed {
			a.missOf(f, shown.File)
		}
	}
	for _, pl := range plans {
		name := pl.Job.Function.Name
		for _, n := range pl.Notes {
			a.note("%s: %s", name, wording(n))
		}
		i := slices.IndexFunc(shown.Functions, func(f adoptedFunction) bool { return f.Name == name })
		if pl.Template != nil && i >= 0 {
			shown.Functions[i].From = pl.Pin.Store
		}
	}
	return nil
}

// missOf notes why a function could not be pinned; of several with one reason the first.
func (a *adoption) missOf(f *pipeline.FunctionError, file string) {
	same := func(e error) bool {
		other, ok := errors.AsType[*pipeline.FunctionError](e)
		return ok && other.Doing == f.Doing && other.Err.Error() == f.Err.Error()
	}
	if slices.ContainsFunc(a.missing, same) {
		return
	}
	again := "pin it when it answers with: fnb lock" + fileFlag(file)
	if is[*git.UnreachableError](f.Err) || is[*store.OfflineError](f.Err) || exitCode(f.Err) == exitRegistry || exitCode(f.Err) == exitBuilder {
		f.Err = hint(f.Err, again)
	} else if n, ok := errors.AsType[*store.NotFoundError](f.Err); ok && n.Err == nil {
		f.Err = hint(f.Err, "put it into ./template, or name its source in the stack file: configuration: {templates: [{name: "+n.Name+", source: URL}]}")
	}
	a.missing = append(a.missing, f)
}
