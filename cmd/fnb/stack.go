package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

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

// choose returns the functions that were named or match a pattern, all without
// either, in the stack's order.
func choose(stack *schema.Stack, names []string, filter string) ([]schema.Function, error) {
	var known []string
	for _, fn := range stack.Functions {
		known = append(known, fn.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, &unknownFunctionError{name: name, file: relative(stack.File), near: schema.Near(name, known)}
		}
	}
	var out []schema.Function
	for _, fn := range stack.Functions {
		ok, err := path.Match(filter, fn.Name)
		if err != nil {
			return nil, usagef("fnb build", "--filter %q: %w", filter, err)
		}
		if (len(names) == 0 || slices.Contains(names, fn.Name)) && (filter == "" || ok) {
			out = append(out, fn)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no function of %s matches --filter %q", relative(stack.File), filter)
	}
	return out, nil
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
	g.stores = append(g.stores, st) // it keeps the cache from being pruned while the command runs
	return st, err
}
