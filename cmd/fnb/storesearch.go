package main

import (
	"github.com/spf13/cobra"

	"fnb/store"
)

func newStoreSearch(g *globals) *cobra.Command {
	q, limit := store.Query{}, 20
	cmd := &cobra.Command{
		Use:     "search WORD…",
		Short:   "find functions by words",
		Long:    "Search prints the functions that have all the words in their name, title, categories, tags or description, the best first. A word that no function has stands for those that resemble it.",
		Example: "  # what makes hashes\n  fnb store search hash",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(cmd.CommandPath(), "a word to search for is missing")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			q.Words = args
			return g.findFunctions(cmd.Context(), q, limit)
		},
	}
	addQueryFlags(cmd, &q)
	cmd.Flags().IntVar(&limit, "limit", limit, "print at most `N` functions; 0 for all")
	return cmd
}
