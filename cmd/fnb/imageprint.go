package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/schema"
)

// An imageReport is what fnb image says of an image, also with --json.
type imageReport struct {
	Reference string                  `json:"reference"`
	Digest    string                  `json:"digest"`
	Bytes     int64                   `json:"bytes"`
	Stored    time.Time               `json:"stored"`
	Stacks    []string                `json:"stacks,omitempty"`
	Named     bool                    `json:"named"` // by a stack file that is there
	Platforms []schema.PlatformReport `json:"platforms,omitempty"`
	Created   *time.Time              `json:"created,omitempty"`
	Labels    map[string]string       `json:"labels,omitempty"`
	Damaged   string                  `json:"damaged,omitempty"`
}

// reportImage says what there is to say of an image. A damaged one is said to be so.
func reportImage(ctx context.Context, s *images.Store, e images.Entry, stacks *images.Stacks) (imageReport, error) {
	r := imageReport{
		Reference: e.Reference, Digest: e.Descriptor.Digest.String(), Stored: e.Stored.UTC().Truncate(time.Second),
		Stacks: e.Stacks, Named: stacks.Name(e),
	}
	d, err := s.Describe(ctx, e.Descriptor)
	if damaged, ok := errors.AsType[*images.DamagedError](err); ok {
		r.Damaged = damaged.Error()
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.Bytes, r.Platforms, r.Labels = d.Bytes, d.Platforms, d.Labels
	if !d.Created.IsZero() {
		created := d.Created.UTC()
		r.Created = &created
	}
	return r, nil
}

// platforms are those of the image, with commas between.
func (r *imageReport) platforms() string {
	var all []string
	for _, p := range r.Platforms {
		all = append(all, p.Platform)
	}
	return strings.Join(all, ",")
}

// stack is the stack file that names the image, or for which it was made last.
func (r *imageReport) stack() string {
	if len(r.Stacks) == 0 {
		return "-"
	}
	file := relative(r.Stacks[len(r.Stacks)-1])
	if !r.Named {
		return file + " (not any more)"
	}
	return file
}

// printImages prints a table of images.
func (g *globals) printImages(all []imageReport) error {
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "REFERENCE\tPLATFORMS\tSIZE\tSTORED\tSTACK")
	for _, r := range all {
		what := column(r.platforms())
		if r.Damaged != "" {
			what = "damaged"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", column(r.Reference), what, plain.Size(r.Bytes), r.Stored.Format("2006-01-02 15:04"), column(r.stack()))
	}
	return tw.Flush()
}

// printPruned prints what was removed.
func (g *globals) printPruned(p images.Pruned) error {
	if g.json {
		refs := p.References
		if refs == nil {
			refs = []string{}
		}
		return g.printJSON(struct {
			References []string `json:"references"`
			Blobs      int      `json:"blobs"`
			Bytes      int64    `json:"bytes"`
		}{refs, p.Blobs, p.Bytes})
	}
	for _, ref := range p.References {
		fmt.Fprintln(g.out, column(ref))
	}
	_, err := fmt.Fprintf(g.err, "fnb: removed %s, freed %s\n", plain.Count(len(p.References), "image", "images"), plain.Size(p.Bytes))
	return err
}
