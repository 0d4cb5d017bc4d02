package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fnb/store"
)

func newTemplateList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "list the templates that a stack can use by name",
		Long:    "List prints the templates that a stack can use by name. They are those of its own folder template/, those its stack file names, the official ones, and those of the stores that were added.",
		Example: "  # as a table, or for a program\n  fnb template list\n  fnb template list --json",
		Args:    exactly(0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return g.listTemplates(cmd.Context()) },
	}
}

func (g *globals) listTemplates(ctx context.Context) error {
	st, where, err := g.storeHere()
	if err != nil {
		return err
	}
	entries, err := st.List(ctx, where)
	if err != nil {
		return err
	}
	if g.json {
		return g.printJSON(entries)
	}
	out := bufio.NewWriter(g.out) // as in printMatches
	tw := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	signed := slices.ContainsFunc(entries, func(e store.Entry) bool { return e.Signer != "" })
	row := func(name, version, from, signer, description string) {
		cells := []string{name, version, from, signer, description}
		if !signed {
			cells = slices.Delete(cells, 3, 4)
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	row("NAME", "VERSION", "STORE", "SIGNED BY", "DESCRIPTION")
	for _, e := range entries {
		row(column(e.Name), column(e.Version), column(e.Store), column(e.Signer), column(e.Description))
	}
	return errors.Join(tw.Flush(), out.Flush())
}
