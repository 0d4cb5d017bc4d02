package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/store"
)

func newStoreList(g *globals) *cobra.Command {
	q, stores := store.Query{}, false
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list the functions of the stores, or the stores",
		Long:    "List prints the functions that can be used by name: those that are part of fnb, and those of the stores that were added. With --stores it prints the stores themselves, and the namespaces that are theirs.",
		Example: "  # all functions\n  fnb store list\n\n  # those for text that run on arm64\n  fnb store list --category text --platform arm64\n\n  # the stores that were added\n  fnb store list --stores",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if stores {
				return g.listStores()
			}
			return g.findFunctions(cmd.Context(), q, 0)
		},
	}
	addQueryFlags(cmd, &q)
	cmd.Flags().BoolVar(&stores, "stores", false, "list the stores instead")
	return cmd
}

func addQueryFlags(cmd *cobra.Command, q *store.Query) {
	cmd.Flags().StringVar(&q.Category, "category", "", "only functions of the category `WORD`")
	cmd.Flags().StringVar(&q.Platform, "platform", "", "only functions that run on `PLATFORM`, such as linux/arm64")
}

func (g *globals) findFunctions(ctx context.Context, q store.Query, limit int) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	found, notes, err := st.Functions(ctx, q)
	g.tell(notes)
	if err != nil {
		return err
	}
	return g.printMatches(found, limit, "NAME\tVERSION\tSTORE\tCATEGORIES\tDESCRIPTION", func(m store.Match) []string {
		about := m.Description
		if about == "" {
			about = m.Title
		}
		if m.Deprecated != "" {
			about = "(" + m.Deprecated + ") " + about
		}
		return []string{m.Name, m.Version, m.Store, strings.Join(m.Categories, ","), about}
	})
}

func (g *globals) listStores() error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	all, err := st.Stores()
	if err != nil {
		return err
	}
	if g.json {
		return g.printJSON(all)
	}
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tURL\tNAMESPACES")
	for _, c := range all {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", plain.Line(c.Name), plain.Line(c.URL), strings.Join(c.Namespaces, ","))
	}
	return tw.Flush()
}

// completeStoreFunctions lists functions for the shell.
func (g *globals) completeStoreFunctions(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names offers
	if st, err := g.newStore(); err == nil && len(args) == 0 {
		found, _, _ := st.Functions(cmd.Context(), store.Query{}) // what cannot be read cannot be completed
		for _, m := range found {
			names.add(m.Name, m.Description)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
