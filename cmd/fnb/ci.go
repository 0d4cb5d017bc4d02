package main

import "github.com/spf13/cobra"

func newCI(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "ci",
		Short: "have functions built by a CI system",
		Long:  "Ci writes the pipeline that builds, tests and pushes the functions of a stack.",
	})
	cmd.AddCommand(newCIInit(g))
	return cmd
}
