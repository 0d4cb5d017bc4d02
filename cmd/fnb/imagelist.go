package main

import (
	"context"

	"github.com/spf13/cobra"

	"fnb/images"
)

func newImageList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "list the images of the image store",
		Long:    "List prints the images of the image store: their platforms, how much is on disk for each, when it was stored, and the stack file it was made for. What several images share counts for each.",
		Example: "  fnb image list\n\n  # the references alone\n  fnb image list --json | jq -r '.[].reference'",
		Args:    exactly(0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return g.listImages(cmd.Context()) },
	}
}

func (g *globals) listImages(ctx context.Context) error {
	s, err := openImages("")
	if err != nil {
		return err
	}
	entries, err := s.List()
	if err != nil {
		return err
	}
	var stacks images.Stacks
	all := []imageReport{}
	for _, e := range entries {
		r, err := reportImage(ctx, s, e, &stacks)
		if err != nil {
			return err
		}
		r.Labels, r.Created = nil, nil // which fnb image show prints
		all = append(all, r)
	}
	if g.json {
		return g.printJSON(all)
	}
	return g.printImages(all)
}
