package main

import (
	"github.com/spf13/cobra"
)

func newStoreUpdate(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:               "update [NAME…]",
		Short:             "read stores again",
		Long:              "Update reads the stores with these names, or all, without waiting for the cache to become too old, which it does after five minutes. A store that has taken back or changed a version is an error, and the cache stays as it was.",
		Example:           "  # all stores\n  fnb store update",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: g.completeStores,
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := g.newStore()
			if err != nil {
				return err
			}
			notes, err := st.UpdateStores(cmd.Context(), args...)
			g.tell(notes)
			return err
		},
	}
}
