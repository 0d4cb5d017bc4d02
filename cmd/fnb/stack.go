package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/spf13/pflag"

	"fnb/schema"
	"fnb/store"
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
			hints: []string{"fetch it, read it, and use it: curl -fsSLO " + shellWord(g.file) + " && fnb build -f " + shellWord(path.Base(u.Path))},
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
		return nil, hint(err, "name a stack file that exists with: -f FILE, or leave -f out to have it looked for")
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
		return nil, usagef("fnb build", "--filter and --regex exclude one another")
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

// choose returns the functions that were named or are meant by the choice, all without
// either, in the stack's order.
func choose(stack *schema.Stack, names []string, c choice) ([]schema.Function, error) {
	var known []string
	for _, fn := range stack.Functions {
		known = append(known, fn.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, &unknownFunctionError{name: name, file: relative(stack.File), near: schema.Near(name, known)}
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

// reach is how far the paths of a stack may lead: to where whoever types allows, beside
// the stack file's folder.
func reach(stackFile string, outside []string) (schema.Reach, error) {
	r := schema.Reach{Root: filepath.Dir(stackFile)}
	for _, path := range outside {
		full, err := filepath.Abs(path)
		if err != nil {
			return r, err
		}
		r.Allow = append(r.Allow, full)
	}
	return r, nil
}

// checkPaths refuses paths of a function that lead too far, all at once.
func (p *pipeline) checkPaths(fn schema.Function) error {
	err := p.stack.CheckPaths(p.ownSecrets(fn), p.reach)
	for _, e := range flatten(err) {
		if outside, ok := errors.AsType[*schema.OutsideError](e); ok {
			outside.Place.File = relative(outside.Place.File)
		}
	}
	return err
}

// checkThere refuses paths of a function at which nothing is, all at once.
func (p *pipeline) checkThere(fn schema.Function) error {
	fn = p.ownSecrets(fn)
	if p.opts.changedSince != "" { // the values of secrets are no inputs
		fn.BuildSecrets = nil
	}
	return missingHere(p.stack.CheckThere(fn, p.reach))
}

// missingHere names the stack file as a person here would type it.
func missingHere(err error) error {
	for _, e := range flatten(err) {
		if missing, ok := errors.AsType[*schema.MissingError](e); ok {
			missing.Place.File = relative(missing.Place.File)
		}
	}
	return err
}

// ownSecrets is a function without those build secrets that the command line gives
// another value, whatever the stack says of them.
func (p *pipeline) ownSecrets(fn schema.Function) schema.Function {
	fn.BuildSecrets = maps.Clone(fn.BuildSecrets)
	maps.DeleteFunc(fn.BuildSecrets, func(id, _ string) bool { _, given := p.opts.secrets[id]; return given })
	return fn
}

// An unknownFunctionError names a function that the stack does not have.
type unknownFunctionError struct {
	name, file string
	near       []string
}

func (e *unknownFunctionError) Error() string {
	return fmt.Sprintf("%s has no function %q", e.file, e.name)
}

// lockFile is where a stack's pins are.
func lockFile(stackFile string) string {
	return filepath.Join(filepath.Dir(stackFile), "fnb.lock")
}

// newStore opens the template store.
func (g *globals) newStore() (*store.Store, error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	stores, err := storesFile()
	if err != nil {
		return nil, err
	}
	cfg, err := readConfig()
	if err != nil {
		return nil, err
	}
	st, err := store.New(store.Options{CacheDir: dir, CacheSize: cfg.Templates.Cache, Offline: g.offline, StoresFile: stores, Version: fnbVersion()})
	g.openFaaS = cfg.Templates.OpenFaaS == nil || *cfg.Templates.OpenFaaS
	g.stores = append(g.stores, st) // it keeps the cache from being pruned while the command runs
	return st, err
}

// ofOpenFaaS reports whether the names of OpenFaaS's template store are found for a
// stack. A store has to be open.
func (g *globals) ofOpenFaaS(stack *schema.Stack) bool {
	return g.openFaaS && stack.Provider.Name == "openfaas"
}
