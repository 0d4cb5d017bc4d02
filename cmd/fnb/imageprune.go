package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"fnb/images"
	"fnb/schema/settings"
)

// youngImage is how long an image stays that no stack file names.
const youngImage = 24 * time.Hour

func newImagePrune(g *globals) *cobra.Command {
	all, keep := false, ""
	cmd := &cobra.Command{
		Use:     "prune",
		Short:   "remove the images that no stack file names any more",
		Long:    "Prune removes images from the image store, and from the disk what no other image needs. Two kinds of images stay: those that fnb built for a stack file of this machine that still names them, and those younger than a day. With --all they go as well. With --keep-storage the oldest go first, and only until the store is as small as that. It waits for builds that are writing images.",
		Example: "  fnb image prune\n\n  # no more than five gigabytes\n  fnb image prune --all --keep-storage 5GB",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var limit int64
			if keep != "" {
				var err error
				if limit, err = settings.ParseBytes(keep); err != nil {
					return usagef("fnb image prune", "--keep-storage: %w", err)
				}
			}
			return g.pruneImages(cmd.Context(), all, limit)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "remove images also where a stack file names them or they are young")
	cmd.Flags().StringVar(&keep, "keep-storage", "", "stop when the store is no larger than `SIZE`, such as 5GB")
	return cmd
}

func (g *globals) pruneImages(ctx context.Context, all bool, limit int64) error {
	s, err := openImages("")
	if err != nil {
		return err
	}
	var stacks images.Stacks
	pruned, err := s.Prune(ctx, images.PruneOptions{
		Keep: func(e images.Entry) bool {
			return !all && (time.Since(e.Stored) < youngImage || stacks.Name(e))
		},
		Bytes: limit,
	})
	if err != nil {
		return err
	}
	return g.printPruned(pruned)
}
