package main

import (
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fnb/images"
	"fnb/internal/plain"
)

func newImageShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:               "show REF",
		Short:             "show an image of the image store",
		Long:              "Show prints what an image of the image store is: its digest, platforms and sizes, the stack files it was made for, and its labels.",
		Example:           "  fnb image show ghcr.io/acme/hello:1",
		Args:              exactly(1),
		ValidArgsFunction: completeImages,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openImages("")
			if err != nil {
				return err
			}
			e, err := s.Find(args[0])
			if err != nil {
				return orList(err)
			}
			r, err := reportImage(cmd.Context(), s, e, &images.Stacks{})
			if err != nil {
				return err
			}
			if g.json {
				return g.printJSON(r)
			}
			return g.printImage(&r)
		},
	}
}

func (g *globals) printImage(r *imageReport) error {
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	row := func(key, value string) { fmt.Fprintf(tw, "%s\t%s\n", column(key), column(value)) }
	row("reference", r.Reference)
	row("digest", r.Digest)
	if r.Damaged != "" {
		row("damaged", r.Damaged)
	}
	for _, p := range r.Platforms {
		row("platform", fmt.Sprintf("%s %s %s", p.Platform, p.Digest, plain.Size(p.Size)))
	}
	row("size", plain.Size(r.Bytes))
	row("stored", r.Stored.Format(time.RFC3339))
	if r.Created != nil {
		row("created", r.Created.Format(time.RFC3339))
	}
	for _, file := range r.Stacks {
		row("stack", file)
	}
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		row("label", key+"="+r.Labels[key])
	}
	return tw.Flush()
}
