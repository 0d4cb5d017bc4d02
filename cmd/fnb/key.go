package main

import "github.com/spf13/cobra"

func newKey(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "key",
		Short: "make, list and export the keys that sign",
		Long:  "Key looks after the keys that sign images and records. An SSH key that is there already will do; fnb key new makes a pair in the form of cosign's.",
	})
	cmd.AddCommand(newKeyNew(g), newKeyList(g), newKeyExport(g))
	return cmd
}
