package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/spf13/pflag"

	"fnb/internal/plain"
	"fnb/internal/spelling"
	"fnb/pipeline"
	"fnb/pipeline/services"
	"fnb/schema"
	"fnb/store"
	"fnb/templates"
)

// stackFile is the path of the stack file: the one that was named, or the first
// that is found upwards from the working directory.
func (g *globals) stackFile() (string, error) {
	if g.file != "" {
		return filepath.Abs(g.file)
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return schema.FindStack(wd)
}

// readStack reads the stack file.
func (g *globals) readStack() (*schema.Stack, error) {
	if g.alone != (lone{}) {
		return g.alone.stack()
	}
	if u, err := url.Parse(g.file); err == nil && u.Host != "" {
		return nil, &usageError{
			command: "fnb", err: fmt.Errorf("-f %s: a stack file is read from a folder, not from the network", g.file),
			hints: []string{"fetch it, read it, and use it: curl -fsSLO " + plain.ShellWord(g.file) + " && fnb build -f " + plain.ShellWord(path.Base(u.Path))},
		}
	}
	file, err := g.stackFile()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint(err, "start with a function: fnb new hello --lang go", "or name the stack file with: -f FILE")
	}
	if err != nil {
		return nil, err
	}
	stack, err := schema.ReadStack(relative(file), os.LookupEnv)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint(err, "name a stack file that exists with: -f FILE, or leave out -f, and fnb looks for it")
	}
	return stack, err
}

// A choice says which functions of a stack are meant; the zero value is all.
type choice struct {
	filter string // a glob
	regex  string // matches any part of a name, as in faas-cli
}

func (c *choice) addFlags(f *pflag.FlagSet, verb string) {
	f.StringVar(&c.filter, "filter", "", verb+" the functions whose names match `GLOB`")
	f.StringVar(&c.regex, "regex", "", verb+" the functions whose names match the regular expression `RE`")
}

// match returns a function that tells which names are meant.
func (c choice) match() (func(string) bool, error) {
	if c.filter != "" && c.regex != "" {
		return nil, usagef("fnb build", "--filter and --regex cannot be used together")
	}
	if _, err := path.Match(c.filter, ""); err != nil {
		return nil, usagef("fnb build", "--filter %q: %w", c.filter, err)
	}
	re, err := regexp.Compile(c.regex)
	if err != nil {
		return nil, usagef("fnb build", "--regex %q: %w", c.regex, err)
	}
	return func(name string) bool {
		ok, _ := path.Match(c.filter, name) // the pattern has been checked
		return (c.filter == "" || ok) && re.MatchString(name)
	}, nil
}

// chooseFunction returns the function that was named, or the stack's only one, for a command that
// is about one.
func chooseFunction(command string, stack *schema.Stack, names []string) (schema.Function, error) {
	fns, err := chooseFunctions(stack, names, choice{})
	if err != nil {
		return schema.Function{}, err
	}
	if len(fns) > 1 {
		return schema.Function{}, usagef(command, "%s has %d functions; name one", relative(stack.File), len(fns))
	}
	return fns[0], nil
}

// chooseFunctions returns the functions that were named or are meant by the choice, all without
// either, in the stack's order.
func chooseFunctions(stack *schema.Stack, names []string, c choice) ([]schema.Function, error) {
	var known []string
	for _, fn := range stack.Functions {
		known = append(known, fn.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, &pipeline.UnknownFunctionError{Name: name, File: relative(stack.File), Near: spelling.Near(name, known)}
		}
	}
	meant, err := c.match()
	if err != nil {
		return nil, err
	}
	var out []schema.Function
	for _, fn := range stack.Functions {
		if (len(names) == 0 || slices.Contains(names, fn.Name)) && meant(fn.Name) {
			out = append(out, fn)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case c.regex != "":
		return nil, fmt.Errorf("no function of %s matches --regex %q", relative(stack.File), c.regex)
	case c.filter != "":
		return nil, fmt.Errorf("no function of %s matches --filter %q", relative(stack.File), c.filter)
	}
	return nil, hint(fmt.Errorf("%s has no functions", relative(stack.File)), "add one with: fnb new hello --lang go")
}

// addOutsideFlag adds the flag that lets paths of the stack lead elsewhere.
func addOutsideFlag(f *pflag.FlagSet, dst *[]string) {
	f.StringArrayVar(dst, outsideFlag, nil, "let paths of the stack file lead to `PATH`, outside of its folder (repeatable)")
}

const outsideFlag = "allow-outside"

// here has errors name files as a person in the working directory would type them.
func here(err error) error {
	for _, e := range flatten(err) {
		if outside, ok := errors.AsType[*schema.OutsideError](e); ok {
			outside.Place.File = relative(outside.Place.File)
		}
		if missing, ok := errors.AsType[*schema.MissingError](e); ok {
			missing.Place.File = relative(missing.Place.File)
		}
		if service, ok := errors.AsType[*services.Error](e); ok {
			service.Place.File = relative(service.Place.File)
		}
		if changed, ok := errors.AsType[*templates.ChangedError](e); ok {
			changed.File = relative(changed.File)
		}
		if unknown, ok := errors.AsType[*pipeline.UnknownFunctionError](e); ok {
			unknown.File = relative(unknown.File)
		}
		if unresolved, ok := errors.AsType[*templates.UnresolvedError](e); ok {
			unresolved.File = relative(unresolved.File)
		}
	}
	return err
}

// newStore opens the template store.
func (g *globals) newStore() (*store.Finder, error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	stores, err := storesFile()
	if err != nil {
		return nil, err
	}
	trusted, err := trustFile()
	if err != nil {
		return nil, err
	}
	cfg, err := g.config()
	if err != nil {
		return nil, err
	}
	st, err := store.New(store.Options{CacheDir: dir, CacheSize: cfg.Templates.Cache, Offline: g.offline, StoresFile: stores, TrustFile: trusted, Version: fnbVersion()})
	g.openFaaS = cfg.Templates.OpenFaaS == nil || *cfg.Templates.OpenFaaS
	g.stores = append(g.stores, st) // it keeps the cache from being pruned while the command runs
	return st, err
}

// ofOpenFaaS reports whether the names of OpenFaaS's template store are found for a
// stack. A store has to be open.
func (g *globals) ofOpenFaaS(stack *schema.Stack) bool {
	return g.openFaaS && stack.Provider.Name == "openfaas"
}
