package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"fnb/builder/fleet"
	"fnb/internal/plain"
)

func newBuilderPrune(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "prune",
		Short:   "drop the builder's cache",
		Long:    "Prune drops everything from the builder's cache that no build is using, and prints how much that was. The next builds are slower.",
		Example: "  fnb builder prune",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			choice, err := g.choice()
			if err != nil {
				return err
			}
			freed, err := fleet.Prune(cmd.Context(), choice)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(g.out, plain.Size(freed))
			return err
		},
	}
}
