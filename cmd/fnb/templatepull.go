package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/templates"
)

func newTemplatePull(g *globals) *cobra.Command {
	var outside []string
	cmd := &cobra.Command{
		Use:     "pull REF [DIR]",
		Short:   "write a template into the project",
		Long:    `Pull writes all files of a template to DIR, or to template/NAME beside the stack file, where fnb and faas-cli find it by its name. It is there to be kept in the project and changed; nothing else that fnb does needs it. Pull never overwrites: DIR must be new or empty.`,
		Example: "  # change an official template for this project\n  fnb template pull go\n\n  # a version of a store's\n  fnb template pull acme/go@1.2.0 ./third-party/go",
		Args:    between(1, 2),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return g.completeTemplates(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := ""
			if len(args) > 1 {
				dir = filepath.Clean(args[1])
			}
			return g.pullTemplate(cmd.Context(), args[0], dir, outside)
		},
	}
	addOutsideFlag(cmd.Flags(), &outside)
	return cmd
}

func (g *globals) pullTemplate(ctx context.Context, ref, dir string, outside []string) error {
	st, where, err := g.storeHere(outside...)
	if err != nil {
		return err
	}
	if where.Policy, err = g.rules.read(); err != nil {
		return err
	}
	t, pin, notes, err := st.Resolve(ctx, ref, ownWord(where, ref))
	g.tell(notes)
	if err != nil {
		return resolving(ref, err)
	}
	if dir == "" {
		dir = filepath.Join(where.Root, "template", t.Name)
	}
	files, err := t.Copy(dir)
	if err != nil {
		return elsewhere(err)
	}
	return g.printWritten(t.Name, dir, files, pin)
}

// elsewhere says what to type where something is in the way.
func elsewhere(err error) error {
	if is[*templates.ExistsError](err) {
		return hint(errors.New(err.Error()), "name another folder after the template, such as: ./mine")
	}
	return err
}

// printWritten prints which template was written where.
func (g *globals) printWritten(name, dir string, files []string, pin schema.Pin) error {
	if g.json {
		return g.printJSON(map[string]any{"name": name, "dir": relative(dir), "files": files, "pin": pin})
	}
	if !g.quiet {
		for _, f := range files {
			fmt.Fprintf(g.err, "  %s\n", plain.Line(relative(filepath.Join(dir, filepath.FromSlash(f)))))
		}
	}
	_, err := fmt.Fprintln(g.out, plain.Line(name), plain.Line(relative(dir)), pin.Checksum)
	return err
}
