package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newBuilderStart(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "start",
		Short:   "start fnb's own builder",
		Long:    "Start starts the managed builder, which any build would do, and prints its address.",
		Example: "  # let buildctl use it\n  BUILDKIT_HOST=$(fnb builder start) buildctl du",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, _, err := g.ownBuilder()
			if err != nil {
				return err
			}
			address, err := m.Start(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(g.out, address)
			return err
		},
	}
}
