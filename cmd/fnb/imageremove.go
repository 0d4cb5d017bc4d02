package main

import (
	"math"

	"github.com/spf13/cobra"
)

func newImageRemove(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:               "remove REF…",
		Aliases:           []string{"rm"},
		Short:             "remove images from the image store",
		Long:              "Remove removes images from the image store, and from the disk what no other image needs. Registries are not asked. If one of them is not there, none is removed. It waits for builds that are writing images.",
		Example:           "  fnb image remove ghcr.io/acme/hello:1",
		Args:              between(1, math.MaxInt),
		ValidArgsFunction: completeImages,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openImages("")
			if err != nil {
				return err
			}
			removed, err := s.Remove(cmd.Context(), args...)
			if err != nil {
				return orList(err)
			}
			return g.printPruned(removed)
		},
	}
}
