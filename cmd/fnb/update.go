package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/pipeline/pins"
	"fnb/pipeline/updates"
	"fnb/templates"
)

// A conflictError names the files in which a person has to choose.
type conflictError struct{ files []string }

func (e *conflictError) Error() string {
	return "merging the changed starters: " + plain.Count(len(e.files), "file", "files") + " with conflicts"
}

// updateOptions are the flags of fnb update.
type updateOptions struct {
	inputs  inputFlags
	dryRun  bool
	noMerge bool
}

func newUpdate(g *globals) *cobra.Command {
	o := &updateOptions{}
	cmd := &cobra.Command{
		Use:   "update [NAME…]",
		Short: "move pins to what is newest, and merge changed starters",
		Long: `Update moves pins of fnb.lock to the newest that the stack allows: all of them, or those that are named, by function (its template) or as fnb outdated prints them.

If a template moves, what has changed in its starter is merged into the handlers of all functions that use it, file by file and line by line. No line of yours is lost: where both have changed the same place, both are in the file between marks, the files are listed, and the exit code is 1. A file that you deleted stays deleted, one that you changed is not removed, and if two files cannot be merged, the template's is written beside yours as NAME.new.

With --dry-run nothing is written.`,
		Example:           "  # everything\n  fnb update\n\n  # what would happen to one function?\n  fnb update hello --dry-run\n\n  # one base image\n  fnb update docker.io/library/debian:bookworm-slim",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.runUpdate(cmd.Context(), o, args)
		},
	}
	f := cmd.Flags()
	addOutsideFlag(f, &o.inputs.outside)
	g.addReviewedFlag(f)
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would change, and write nothing")
	f.BoolVar(&o.noMerge, "no-merge", false, "leave the handlers as they are")
	addInsecureFlag(f, &o.inputs.insecure)
	return cmd
}

// An updateResult is what fnb update does: pins that move, and files that change.
type updateResult struct {
	Pins  []pins.Change `json:"pins"`
	Files []updatedFile `json:"files"`
}

// An updatedFile is one file of a handler.
type updatedFile struct {
	Path   string `json:"path"`
	Action string `json:"action"`
	Beside string `json:"beside,omitempty"`
}

func (g *globals) runUpdate(ctx context.Context, o *updateOptions, names []string) error {
	n, err := g.lookUpNewest(ctx, "fnb update", &o.inputs, nil)
	if err != nil {
		return err
	}
	u := &updateResult{Pins: []pins.Change{}, Files: []updatedFile{}}
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
	return errors.Join(g.printUpdated(u), u.conflicts())
}

// describe says which files change.
func (u *updateResult) describe(merges []updates.Merge) {
	for _, m := range merges {
		for _, c := range m.Changes {
			f := updatedFile{Path: relative(filepath.Join(m.Dir, filepath.FromSlash(c.File))), Action: c.Action}
			if c.Beside != "" {
				f.Beside = relative(filepath.Join(m.Dir, filepath.FromSlash(c.Beside)))
			}
			u.Files = append(u.Files, f)
		}
	}
}

func (u *updateResult) conflicts() error {
	var files []string
	for _, f := range u.Files {
		if f.Action == templates.StarterConflict {
			files = append(files, f.Path)
		}
	}
	if len(files) > 0 {
		return &conflictError{files}
	}
	return nil
}

func (g *globals) printUpdated(u *updateResult) error {
	if g.json {
		return g.printJSON(u)
	}
	var b strings.Builder
	for _, c := range u.Pins {
		fmt.Fprintln(&b, c.Kind, plain.Line(c.Name), plain.Line(c.Locked.String()), "->", plain.Line(c.Newest.String()))
	}
	for _, f := range u.Files {
		line := f.Action + " " + f.Path
		if f.Beside != "" {
			line += ": the template's is in " + f.Beside
		}
		fmt.Fprintln(&b, plain.Line(line))
	}
	_, err := g.out.Write([]byte(b.String()))
	return err
}
