package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/store"
	"fnb/templates"
)

// newOptions are the flags of fnb new.
type newOptions struct {
	lang    string
	handler string
	prefix  string
	list    bool
	outside []string
	from    string // a function of the store whose handler it begins with
	source  store.Source
}

func newNew(g *globals) *cobra.Command {
	o := &newOptions{}
	cmd := &cobra.Command{
		Use:   "new NAME --lang TEMPLATE[@RANGE]",
		Short: "start a function from a template",
		Long: `New resolves a template, pins it in fnb.lock, writes its starter handler to the folder NAME and adds the function to the stack file, whose comments and order stay as they are. Without a stack file it makes stack.yaml. With --from-store it begins with the handler of a function of the store, whose name is the default of NAME. On a terminal, without --lang, it asks for the template; typing searches. When anything fails, nothing is written.

The image of the function is NAME:latest, with the prefix of --prefix, FNB_PREFIX or OPENFAAS_PREFIX before it.`,
		Example: "  # a function in Go whose image goes to ghcr.io/acme\n  fnb new hello --lang go --prefix ghcr.io/acme\n\n  # a template of a git repository, at a tag\n  fnb new resize --lang https://github.com/acme/templates#v1.2.0\n\n  # which templates there are\n  fnb new --list\n\n  # a function that is part of fnb, to begin with\n  fnb new --from-store hash",
		Args: func(cmd *cobra.Command, args []string) error {
			if o.list || o.from != "" && len(args) == 0 {
				return nil
			}
			return exactly(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.list {
				return g.listTemplates(cmd.Context())
			}
			if len(args) == 0 {
				args = []string{nameIn(o.from)}
			}
			return g.runNew(cmd.Context(), o, args[0])
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.lang, "lang", "", "use the template `TEMPLATE`: a name, name@range, a git URL or a folder")
	f.StringVar(&o.handler, "handler", "", "write the handler to `DIR` instead of NAME")
	f.StringVarP(&o.prefix, "prefix", "p", os.Getenv("OPENFAAS_PREFIX"), "registry and owner of the image, such as ghcr.io/acme")
	f.StringVar(&o.from, "from-store", "", "begin with the handler of the function `REF` of the store, and with its template")
	_ = cmd.RegisterFlagCompletionFunc("from-store", g.completeStoreFunctions) // the flag exists
	addOutsideFlag(f, &o.outside)
	f.BoolVar(&o.list, "list", false, "list the templates and stop")
	_ = cmd.RegisterFlagCompletionFunc("lang", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return g.completeTemplates(), cobra.ShellCompDirectiveNoFileComp
	}) // the flag exists
	return cmd
}

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

func (g *globals) runNew(ctx context.Context, o *newOptions, name string) error {
	if err := schema.ValidateFunctionName(name); err != nil {
		return usagef("fnb new", "%w", err)
	}
	if o.from != "" && o.lang != "" {
		return usagef("fnb new", "--lang and --from-store exclude each other: a function of the store names its template")
	}
	var err error
	switch {
	case o.from != "":
		err = g.readSource(ctx, o)
		defer o.source.Close()
	case o.lang == "":
		o.lang, err = g.askTemplate(ctx)
	}
	if err != nil {
		return err
	}
	d, err := g.draft(ctx, o, name)
	if err != nil {
		return err
	}
	files, err := d.write()
	if err != nil {
		return err
	}
	if !g.quiet {
		for _, f := range files {
			fmt.Fprintf(g.err, "  %s\n", plain.Line(relative(filepath.Join(d.dir, filepath.FromSlash(f)))))
		}
		if w := strings.TrimSpace(d.tmpl.Manifest.WelcomeMessage); w != "" {
			fmt.Fprintln(g.err)
			for line := range strings.Lines(w) {
				fmt.Fprintln(g.err, plain.Line(strings.TrimRight(line, "\n")))
			}
		}
		fmt.Fprintf(g.err, "\nnext: fnb build %s%s\n", name, plain.Line(d.outside()))
	}
	_, err = fmt.Fprintln(g.out, plain.Line(name), plain.Line(relative(d.dir)))
	return err
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
	if d.lock, err = schema.ReadLock(lockFile(d.stackFile)); err != nil {
		return nil, err
	}
	st, err := g.newStore()
	if err != nil {
		return nil, err
	}
	may, err := reach(d.stackFile, o.outside)
	if err != nil {
		return nil, err
	}
	where := store.Where{Root: root, Allow: may.Allow, Sources: stack.Configuration.Templates, Lock: d.lock, OpenFaaS: g.ofOpenFaaS(stack) || g.openFaaS && d.oldStack == nil}
	if o.from == "" {
		where = ownWord(where, o.lang)
	}
	tmpl, pin, notes, err := st.Resolve(ctx, o.lang, where)
	if err != nil {
		return nil, resolving(o.lang, err)
	}
	for _, n := range notes {
		fmt.Fprintln(g.err, "fnb: note: "+plain.Line(n))
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
	d.fn = schema.Function{Name: name, Lang: o.lang, Handler: dotted(filepath.ToSlash(rel)), Image: imageName(o.prefix, name)}
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

// readSource gets the handler of a function of the store.
func (g *globals) readSource(ctx context.Context, o *newOptions) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	f, notes, err := st.Function(ctx, o.from, store.Where{})
	g.tell(notes)
	if err != nil {
		return err
	}
	o.source, err = st.Source(ctx, f)
	o.lang = o.source.Lang
	return err
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
	if err := schema.WriteFile(d.stackFile, d.stack, 0o644); err != nil {
		undo()
		return nil, err
	}
	if err := d.lock.WriteLock(lockFile(d.stackFile)); err != nil {
		undo()
		if d.oldStack == nil {
			_ = os.Remove(d.stackFile) // as above
		} else {
			_ = schema.WriteFile(d.stackFile, d.oldStack, 0o644) // as above
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
