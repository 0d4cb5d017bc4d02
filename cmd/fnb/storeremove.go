package main

import (
	"github.com/spf13/cobra"
)

func newStoreRemove(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:               "remove NAME",
		Short:             "forget a store",
		Long:              "Remove forgets a store, its namespaces and what the cache has of it. Templates that fnb.lock pins go on working while the cache has them.",
		Example:           "  # forget the store acme\n  fnb store remove acme",
		Args:              exactly(1),
		ValidArgsFunction: g.completeStores,
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := g.newStore()
			if err != nil {
				return err
			}
			return st.RemoveStore(cmd.Context(), args[0])
		},
	}
}
