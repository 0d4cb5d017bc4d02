package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/pipeline/pins"
	"fnb/pipeline/updates"
)

// An outdatedError says that something newer exists.
type outdatedError struct {
	n        int  // entries of fnb.lock
	packages int  // of locks of package managers
	movable  bool // fnb update would take some of it
}

func (e *outdatedError) Error() string {
	var of []string
	if e.n > 0 {
		of = append(of, plain.Count(e.n, "entry", "entries")+" of fnb.lock")
	}
	if e.packages > 0 {
		of = append(of, plain.Count(e.packages, "package", "packages"))
	}
	return "something newer than " + strings.Join(of, " and ") + " exists"
}

// An unaskedError says that nothing newer was found, and that not everything could be asked.
type unaskedError struct{ missed []error }

func (e *unaskedError) Error() string {
	return "it is not known whether something newer exists: " + e.missed[0].Error()
}

// unasked is what did not answer; a base image that is not there has no newer one, and is a
// note.
func unasked(missed []error) error {
	e := &unaskedError{}
	for _, err := range missed {
		if code := exitCode(err); code == exitRegistry || code == exitBuilder {
			e.missed = append(e.missed, err)
		}
	}
	if len(e.missed) == 0 {
		return nil
	}
	return e
}

func newOutdated(g *globals) *cobra.Command {
	o, all := &inputFlags{}, false
	cmd := &cobra.Command{
		Use:   "outdated [FUNCTION…]",
		Short: "list what is newer than fnb.lock",
		Long: `Outdated asks stores, git repositories and registries what is newer than what fnb.lock pins. That is versions of templates, images behind the tags of base images, watchdogs and services, and the watchdog that is part of fnb. It changes nothing.

NEWEST is what fnb update would take. LATEST is the newest version of a template where the stack does not allow it, such as 2.0.0 for acme/go@^1. The exit code is 7 if anything is newer, and 0 if nothing is. It is 5 if a registry could not be asked and nothing newer is known.

With --all the packages in the locks of package managers are listed too. The stage "lock" of each template makes its lock again in the builder, and what differs is newer; the files stay as they are.`,
		Example:           "  # as a table, or for a program\n  fnb outdated\n  fnb outdated --json\n\n  # packages as well\n  fnb outdated --all",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.runOutdated(cmd.Context(), o, all, args)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "list newer packages, too, which the builder looks up")
	addOutsideFlag(cmd.Flags(), &o.outside)
	addInsecureFlag(cmd.Flags(), &o.insecure)
	return cmd
}

func (g *globals) runOutdated(ctx context.Context, o *inputFlags, all bool, names []string) error {
	n, err := g.lookUpNewest(ctx, "fnb outdated", o, names)
	if err != nil {
		return err
	}
	changes, movable := n.Outdated()
	e := &outdatedError{n: len(changes), movable: movable}
	if all {
		packages, err := g.outdatedPackages(ctx, o, names)
		if err != nil {
			return err
		}
		changes, e.packages = append(changes, packages...), len(packages)
	}
	if err := g.printOutdated(changes); err != nil {
		return err
	}
	if len(changes) == 0 {
		return unasked(n.Missed)
	}
	return e
}

// lookUpNewest looks up what functions need as if nothing were pinned.
func (g *globals) lookUpNewest(ctx context.Context, command string, o *inputFlags, names []string) (*updates.Newest, error) {
	s, err := o.settings(command)
	if err != nil {
		return nil, err
	}
	p, fns, err := g.newPipeline(wanted{settings: s, insecure: o.insecure, names: names, keys: lockKeys()})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return updates.Look(ctx, p.Pipeline, fns, g.tellMore)
}

func (g *globals) printOutdated(changes []pins.Change) error {
	if g.json {
		if changes == nil {
			changes = []pins.Change{}
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
			locked, newest = pins.ShortDigest(c.Locked.Digest), pins.ShortDigest(c.Newest.Digest) // the version has stayed
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", c.Kind, plain.Line(c.Name), plain.Line(locked), plain.Line(newest), plain.Line(cmp.Or(c.Latest, "-")))
	}
	return tw.Flush()
}
