package main

import "github.com/spf13/cobra"

func newBuilderStop(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "stop fnb's own builder",
		Long:    "Stop ends the managed builder. Builds under way fail; its cache stays. If none runs, it is no error.",
		Example: "  fnb builder stop",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, _, err := g.ownBuilder()
			if err != nil {
				return err
			}
			choice, err := g.choice()
			if err != nil {
				return err
			}
			if address, by := choice.Named(); address != "" && cmd.Flags().Changed("builder") {
				return usagef(cmd.CommandPath(), "%s, which %s names, is not fnb's own builder: only that can be stopped", address, by)
			}
			return m.Stop(cmd.Context())
		},
	}
}
