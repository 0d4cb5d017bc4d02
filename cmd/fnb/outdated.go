package main

import (
	"cmp"
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/schema"
)

// An outdatedError says that something newer exists.
type outdatedError struct {
	n       int
	movable bool // fnb update would take some of it
}

func (e *outdatedError) Error() string {
	if e.n == 1 {
		return "something newer than one entry of fnb.lock exists"
	}
	return fmt.Sprintf("something newer than %d entries of fnb.lock exists", e.n)
}

func newOutdated(g *globals) *cobra.Command {
	o := &buildOptions{parallel: 1}
	cmd := &cobra.Command{
		Use:   "outdated [FUNCTION…]",
		Short: "list what is newer than fnb.lock",
		Long: `Outdated asks stores, git repositories and registries what is newer than what fnb.lock pins: versions of templates, images behind the tags of base images and watchdogs, and the watchdog that is part of fnb. It changes nothing.

NEWEST is what fnb update would take. LATEST is the newest version of a template where the stack does not allow it, such as 2.0.0 for acme/go@^1. The exit code is 7 where anything is newer, and 0 where nothing is.`,
		Example:           "  # as a table, or for a program\n  fnb outdated\n  fnb outdated --json",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.runOutdated(cmd.Context(), o, args)
		},
	}
	addOutsideFlag(cmd.Flags(), &o.outside)
	cmd.Flags().StringSliceVar(&o.insecure, "insecure-registry", nil, "speak plain HTTP to the registry `HOST` (repeatable)")
	return cmd
}

func (g *globals) runOutdated(ctx context.Context, o *buildOptions, names []string) error {
	if err := o.parse("fnb outdated"); err != nil {
		return err
	}
	n, err := g.lookUpNewest(ctx, o, names)
	if err != nil {
		return err
	}
	changes := n.changes
	seen := map[string]bool{}
	for _, c := range changes {
		seen[c.Name] = true
	}
	for ref, pin := range n.before.Templates {
		latest := n.latest[ref]
		if latest != "" && !seen[ref] {
			is := &pinnedTo{Version: pin.Version, Commit: pin.Commit, Digest: pin.Checksum}
			changes = append(changes, pinChange{Kind: pinTemplate, Name: ref, Locked: is, Newest: is})
		}
	}
	movable := false
	for i := range changes {
		if c := &changes[i]; c.Kind == pinTemplate {
			c.Latest = n.latest[c.Name]
		}
		movable = movable || *changes[i].Locked != *changes[i].Newest
	}
	if err := g.printOutdated(changes); err != nil || len(changes) == 0 {
		return err
	}
	return &outdatedError{n: len(changes), movable: movable}
}

func (g *globals) printOutdated(changes []pinChange) error {
	if g.json {
		if changes == nil {
			changes = []pinChange{}
		}
		return g.printJSON(changes)
	}
	if len(changes) == 0 {
		return nil
	}
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "KIND\tNAME\tLOCKED\tNEWEST\tLATEST")
	for _, c := range changes {
		locked, newest := c.Locked.String(), c.Newest.String()
		if locked == newest && *c.Locked != *c.Newest {
			locked, newest = shortDigest(c.Locked.Digest), shortDigest(c.Newest.Digest) // the version has stayed
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", c.Kind, plain.Line(c.Name), plain.Line(locked), plain.Line(newest), plain.Line(cmp.Or(c.Latest, "-")))
	}
	return tw.Flush()
}

// A newest is what could be in fnb.lock now.
type newest struct {
	pipeline *pipeline
	jobs     []*job
	before   *schema.Lock
	changes  []pinChange       // of entries that fnb.lock has
	latest   map[string]string // versions of templates that their ranges do not allow
}

// lookUpNewest looks up what functions need as if nothing were pinned. The
// pipeline has that then, and no file.
func (g *globals) lookUpNewest(ctx context.Context, o *buildOptions, names []string) (*newest, error) {
	p, fns, err := g.newPipeline(o, names, schema.SourceKeys())
	if err != nil {
		return nil, err
	}
	defer p.close()
	n := &newest{pipeline: p, before: p.pins.lock(), jobs: pinJobs(fns), latest: map[string]string{}}
	if err := p.forget(ctx, g, fns, true); err != nil {
		return nil, err
	}
	if err := g.pinAll(ctx, p, n.jobs); err != nil {
		return nil, err
	}
	for _, c := range p.pins.changes() {
		if c.Locked != nil && c.Newest != nil {
			n.changes = append(n.changes, c)
		}
	}
	for ref, pin := range p.pins.lock().Templates {
		if _, ok := n.before.Templates[ref]; !ok {
			continue
		}
		if n.latest[ref], err = p.store.Later(ctx, ref, pin.Version); err != nil {
			return nil, err
		}
	}
	return n, nil
}
