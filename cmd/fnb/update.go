package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"fnb/pipeline/effects"
	"fnb/pipeline/pins"
	"fnb/pipeline/updates"
)

// updateOptions are the flags of fnb update.
type updateOptions struct {
	inputs   inputFlags
	dryRun   bool
	noMerge  bool
	packages bool
	describe string // the file
	database databaseFlags
}

func newUpdate(g *globals) *cobra.Command {
	o := &updateOptions{}
	cmd := &cobra.Command{
		Use:   "update [NAME…]",
		Short: "move pins to what is newest, and merge changed starters",
		Long: `Update moves pins of fnb.lock to the newest that the stack allows: all of them, or those that are named, by function (its template) or as fnb outdated prints them.

If a template moves, what has changed in its starter is merged into the handlers of all functions that use it, file by file and line by line. No line of yours is lost: where both have changed the same place, both are in the file between marks, the files are listed, and the exit code is 1. A file that you deleted stays deleted, one that you changed is not removed, and if two files cannot be merged, the template's is written beside yours as NAME.new.

With --packages the locks of package managers are made again as well, as fnb lock --packages --upgrade does.

With --describe what was moved is told in FILE as Markdown, for a commit or a proposed change. The images of the functions that changed are made as they were at git's HEAD and as they are now, and are tested. FILE says what differs in size, packages and known holes, and why a person must look. It is written whether tests fail or not; if nothing moves, there is no FILE.

With --dry-run nothing is written.`,
		Example:           "  # everything\n  fnb update\n\n  # what would happen to one function?\n  fnb update hello --dry-run\n\n  # one base image\n  fnb update docker.io/library/debian:bookworm-slim\n\n  # everything with its packages, tested and told\n  fnb update --packages --describe change.md && git commit -a -F change.md",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd.CommandPath(), args); err != nil {
				return err
			}
			return g.runUpdate(cmd.Context(), o, args)
		},
	}
	f := cmd.Flags()
	addOutsideFlag(f, &o.inputs.outside)
	g.addReviewedFlag(f)
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would change, and write nothing")
	f.BoolVar(&o.noMerge, "no-merge", false, "leave the handlers as they are")
	f.BoolVar(&o.packages, "packages", false, "make the locks of package managers again, too, in the builder")
	f.StringVar(&o.describe, "describe", "", "test what moves, and write to `FILE` what changes, as Markdown")
	o.database.addFlags(f, "with --describe, ")
	addInsecureFlag(f, &o.inputs.insecure)
	return cmd
}

func (g *globals) runUpdate(ctx context.Context, o *updateOptions, names []string) error {
	if err := g.beginDescription(ctx, o); err != nil {
		return err
	}
	n, err := g.lookUpNewest(ctx, "fnb update", &o.inputs, nil)
	if err != nil {
		return err
	}
	u := &updateResult{Pins: []pins.Change{}, Files: []effects.File{}}
	if u.Pins, err = n.Chosen(names); err != nil {
		return err
	}
	var merges []updates.Merge
	if !o.noMerge {
		if merges, err = n.Merges(ctx, u.Pins); err != nil {
			return err
		}
		u.describe(merges)
	}
	if !o.dryRun {
		for _, m := range merges {
			if err := m.Write(); err != nil {
				return err
			}
		}
		if err := n.WriteLock(u.Pins); err != nil {
			return err
		}
	}
	var unlocked error
	if o.packages {
		u.Locks, unlocked = g.relock(ctx, o)
	}
	if err := g.printUpdated(u); err != nil {
		return err
	}
	return errors.Join(u.conflicts(), unlocked, g.describeUpdate(ctx, o, u, unlocked))
}
