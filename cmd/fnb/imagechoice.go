package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"fnb/internal/plain"
	"fnb/rebase"
	"fnb/registry"
)

// An imageChoice says which images a command is about: those of functions, of a registry, of
// a store or of a list.
type imageChoice struct {
	prefix, store, from string
	insecure            []string
}

func (o *imageChoice) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.prefix, "registry", "", "look at all images below `PREFIX`, such as registry.example.com/team, of a registry that lists its repositories")
	f.StringVar(&o.store, "store", "", "look at the images of the functions of the store `NAME`")
	f.StringVar(&o.from, "from", "", "look at the images that `FILE` names, one a line, or in JSON of kubectl get; - is standard input")
	addInsecureFlag(f, &o.insecure)
}

// subjects are the images that are meant. Arguments are functions of the stack file or, with a slash or a
// colon, images.
func (g *globals) subjects(ctx context.Context, command string, c *registry.Client, o *imageChoice, args []string) (out []rebase.Subject, err error) {
	var refs []string
	given := 0
	for _, v := range []string{o.prefix, o.store, o.from, strings.Join(args, " ")} {
		if v != "" {
			given++
		}
	}
	if given > 1 {
		return nil, usagef(command, "name functions, or one of --registry, --store and --from")
	}
	switch {
	case o.prefix != "":
		refs, err = rebase.Below(ctx, c, o.prefix)
	case o.store != "":
		refs, err = g.storeImages(ctx, o.store)
	case o.from != "":
		refs, err = g.listedImages(o.from)
	default:
		return g.functionImages(args)
	}
	for _, ref := range refs {
		out = append(out, rebase.Subject{Reference: ref})
	}
	return out, err
}

func (g *globals) listedImages(file string) ([]string, error) {
	in := g.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // it was only read from
		in = f
	}
	refs, err := rebase.ReadList(in)
	if err != nil {
		return nil, fmt.Errorf("--from %s: %w", plain.Quoted(file), err)
	}
	return refs, nil
}

// functionImages are the images of functions, as the stack file has them.
func (g *globals) functionImages(args []string) (out []rebase.Subject, err error) {
	names, refs := byKind(args)
	for _, ref := range refs {
		out = append(out, rebase.Subject{Reference: ref})
	}
	if len(names) == 0 && len(refs) > 0 {
		return out, nil
	}
	stack, err := g.readStack()
	if err != nil {
		return nil, err
	}
	fns, err := chooseFunctions(stack, names, choice{})
	if err != nil {
		return nil, err
	}
	for _, fn := range fns {
		out = append(out, rebase.Subject{Function: fn.Name, Reference: fn.Image})
	}
	return out, nil
}
