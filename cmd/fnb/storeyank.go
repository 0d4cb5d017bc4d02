package main

import (
	"github.com/spf13/cobra"

	"fnb/schema"
)

func newStoreYank(g *globals) *cobra.Command {
	return g.newYank(schema.KindFunction, &cobra.Command{
		Short:   "withdraw a version of a function",
		Long:    "Yank adds a note to a version in its store, with which it is not chosen any more. The record and the image stay as they are.",
		Example: "  # a version that should not be used\n  fnb store yank acme/shorten@1.0.0 --reason \"cuts too much\" --severity broken --use 1.0.1",
	})
}
