package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
)

// adoptOptions are the flags of fnb adopt.
type adoptOptions struct {
	dryRun bool
	prefix string
	inputs inputFlags
}

func newAdopt(g *globals) *cobra.Command {
	o := &adoptOptions{}
	cmd := &cobra.Command{
		Use:   "adopt [DIR]",
		Short: "make a project that is there build with fnb",
		Long: `Adopt reads a project as it is, in DIR or here, says what it found and what is missing, and writes what makes it build.

A project of OpenFaaS's has a stack file: stack.yaml, stack.yml or, as with faas-cli -f, any other YAML file in the folder that is one. Adopt adds to it where templates come from that it only names, so that faas-cli finds the same ones, and writes fnb.lock. Comments and order stay. Any other folder gets a stack.yaml: with one function if there is source in the folder itself, and with one for each folder in it that has some. Which template takes the source is told from the files.

Nothing is overwritten but the stack file, and no handler is changed. A second run changes nothing. With --dry-run nothing is written, and what would be is shown as a diff. If the project does not build then, each thing that is missing is an error.`,
		Example: "  # what would be done\n  fnb adopt --dry-run\n\n  # a project of OpenFaaS's whose stack file is hello.yml\n  fnb adopt -f hello.yml\n\n  # folders with handlers, and no stack file\n  fnb adopt ./functions --prefix ghcr.io/acme",
		Args:    between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.runAdopt(cmd.Context(), o, args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "write nothing, and show what would be written")
	f.StringVarP(&o.prefix, "prefix", "p", os.Getenv("OPENFAAS_PREFIX"), "registry and owner of the images of a new stack file, such as ghcr.io/acme")
	addOutsideFlag(f, &o.inputs.outside)
	addInsecureFlag(f, &o.inputs.insecure)
	return cmd
}

func (g *globals) runAdopt(ctx context.Context, o *adoptOptions, args []string) error {
	a := &adoption{g: g, o: o, out: adopted{DryRun: o.dryRun, Stacks: []adoptedStack{}, Notes: []string{}, Missing: []adoptedMissing{}, Written: []string{}}}
	settings, err := o.inputs.settings("fnb adopt")
	if err != nil {
		return err
	}
	a.wanted = wanted{settings: settings, insecure: o.inputs.insecure}
	names, err := a.open(args)
	if err != nil {
		return err
	}
	defer func() { _ = a.root.Close() }() // it was only read from
	if len(names) == 0 {
		err = a.scan(ctx)
	}
	for _, name := range names {
		if err == nil {
			err = a.readStack(ctx, name)
		}
	}
	if err != nil {
		return err
	}
	a.lock()
	a.scripts()
	if err := a.write(); err != nil {
		return err
	}
	if err := a.print(); err != nil {
		return err
	}
	if len(a.missing) > 0 {
		return &missingError{a.missing}
	}
	return nil
}

// fileFlag is what a command needs to take a stack file that it does not look for itself.
func fileFlag(file string) string {
	switch filepath.Base(file) {
	case "stack.yaml", "stack.yml":
		if dir := filepath.Dir(file); dir != "." {
			return " -C " + plain.ShellWord(dir)
		}
		return ""
	}
	return " -f " + plain.ShellWord(file)
}
