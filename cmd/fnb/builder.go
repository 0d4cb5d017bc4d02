package main

import "github.com/spf13/cobra"

func newBuilder(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "builder",
		Short: "look after the builder",
		Long:  "Builder shows, starts and stops what makes the images. Without --builder, FNB_BUILDER or BUILDKIT_HOST that is fnb's own, which is started when it is needed and ends when it is idle.",
	})
	cmd.AddCommand(newBuilderStatus(g), newBuilderStart(g), newBuilderStop(g), newBuilderPrune(g), newBuilderServe(g))
	return cmd
}
