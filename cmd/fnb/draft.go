package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"fnb/internal/disk"
	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/schema"
	"fnb/store"
	"fnb/templates"
)

// A draft is a function about to be added: every file with its new contents,
// and what was there before.
type draft struct {
	fn        schema.Function
	stackFile string
	stack     []byte
	oldStack  []byte // nil where there was none
	lock      *schema.Lock
	dir       string
	tmpl      *templates.Template
}

// draft works out everything that would be written.
func (g *globals) draft(ctx context.Context, o *newOptions, name string) (*draft, error) {
	d := &draft{}
	stack, err := d.open(g)
	if err != nil {
		return nil, err
	}
	for _, fn := range stack.Functions {
		if fn.Name == name {
			return nil, hint(fmt.Errorf("%s has a function %s already", relative(d.stackFile), name), "choose another name")
		}
	}
	root := filepath.Dir(d.stackFile)
	if d.lock, err = schema.ReadLock(pipeline.LockFile(d.stackFile)); err != nil {
		return nil, err
	}
	st, err := g.newStore()
	if err != nil {
		return nil, err
	}
	allow, err := absolute(o.outside)
	if err != nil {
		return nil, err
	}
	where := store.Scope{Root: root, Allow: allow, Sources: stack.Configuration.Templates, Lock: d.lock, OpenFaaS: g.ofOpenFaaS(stack) || g.openFaaS && d.oldStack == nil}
	if o.from == "" {
		where = ownWord(where, o.lang)
	}
	if where.Policy, err = g.rules.read(); err != nil {
		return nil, err
	}
	tmpl, pin, notes, err := st.Resolve(ctx, o.lang, where)
	if err != nil {
		return nil, resolving(o.lang, err)
	}
	for _, n := range notes {
		fmt.Fprintln(g.err, "fnb: note: "+plain.Line(n))
	}
	if starter, err := fs.Sub(tmpl.FS, tmpl.Handler.Folder); err == nil {
		if i, ok := templates.OfficialInstead(tmpl.Name, starter, nil); ok {
			g.tellMore([]string{i.String()})
		}
	}
	if d.tmpl = tmpl; o.source.Files != nil {
		if d.tmpl, err = tmpl.WithStarter(o.source.Files); err != nil {
			return nil, fmt.Errorf("the handler of %s: %w", o.from, err)
		}
	}
	if d.lock.Templates == nil {
		d.lock.Templates = map[string]schema.Pin{}
	}
	d.lock.Templates[o.lang] = pin
	if err := st.Keep(ctx, tmpl); err != nil { // for fnb update, later
		g.tell([]string{err.Error()})
	}
	if d.dir = o.handler; d.dir == "" {
		d.dir = name
	}
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(root, d.dir)
	if err != nil {
		return nil, err
	}
	prefix := o.prefix
	if !o.chosen {
		prefix = stack.ImagePrefix()
	}
	d.fn = schema.Function{Name: name, Lang: o.lang, Handler: dotted(filepath.ToSlash(rel)), Image: imageName(prefix, name), Secrets: o.secrets}
	if d.oldStack == nil {
		d.stack = schema.NewStack(d.fn)
	} else if d.stack, err = schema.AddFunction(d.oldStack, d.fn); err != nil {
		return nil, fmt.Errorf("adding %s to %s: %w", name, relative(d.stackFile), err)
	}
	return d, nil
}

// outside are the flags that a build of the function needs beside its name.
func (d *draft) outside() string {
	var flags string
	err := (&schema.Stack{File: d.stackFile}).CheckPaths(d.fn, schema.Reach{Root: filepath.Dir(d.stackFile)})
	for _, path := range outsidePaths(err) {
		flags += " " + path
	}
	return flags
}

// nameIn is the name in a reference to a function of the store.
func nameIn(ref string) string {
	name, _, _ := strings.Cut(ref, "@")
	return name[strings.LastIndexAny(name, ":/")+1:]
}

// open reads the stack file, or settles where a new one will be.
func (d *draft) open(g *globals) (*schema.Stack, error) {
	file, err := g.stackFile()
	if errors.Is(err, fs.ErrNotExist) {
		file, err = filepath.Abs("stack.yaml")
	}
	if err != nil {
		return nil, err
	}
	d.stackFile = file
	d.oldStack, err = os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		d.oldStack = nil
		return &schema.Stack{File: file}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", relative(file), err)
	}
	return schema.ParseStack(relative(file), d.oldStack, nil)
}

// write writes the handler, the stack file and the lock; after a failure none
// of them.
func (d *draft) write() (files []string, err error) {
	files, err = d.tmpl.Scaffold(d.dir)
	if err != nil {
		return nil, err
	}
	undo := func() {
		for _, f := range files {
			_ = os.Remove(filepath.Join(d.dir, filepath.FromSlash(f))) // the first error is the one to report
		}
		removeEmpty(d.dir)
	}
	if err := disk.ReplaceFile(d.stackFile, d.stack, 0o644); err != nil {
		undo()
		return nil, err
	}
	if err := d.lock.WriteLock(pipeline.LockFile(d.stackFile)); err != nil {
		undo()
		if d.oldStack == nil {
			_ = os.Remove(d.stackFile) // as above
		} else {
			_ = disk.ReplaceFile(d.stackFile, d.oldStack, 0o644) // as above
		}
		return nil, err
	}
	return files, nil
}

// removeEmpty removes a folder and those in it that hold no file.
func removeEmpty(dir string) {
	var dirs []string
	_ = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	}) // what cannot be read stays
	for i := len(dirs) - 1; i >= 0; i-- {
		_ = os.Remove(dirs[i]) // one that is not empty stays
	}
}

// dotted writes a relative path so that it cannot be taken for a name.
func dotted(rel string) string {
	if strings.HasPrefix(rel, ".") || filepath.IsAbs(rel) {
		return rel
	}
	return "./" + rel
}

func imageName(prefix, name string) string {
	if prefix = strings.TrimSuffix(prefix, "/"); prefix == "" {
		return name + ":latest"
	}
	return prefix + "/" + name + ":latest"
}
