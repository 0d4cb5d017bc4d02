package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/templates"
)

// A conflictError names the files in which a person has to choose.
type conflictError struct{ files []string }

func (e *conflictError) Error() string {
	return fmt.Sprintf("merging the changed starters: %d files with conflicts", len(e.files))
}

// updateOptions are the flags of fnb update.
type updateOptions struct {
	build   buildOptions
	dryRun  bool
	noMerge bool
}

func newUpdate(g *globals) *cobra.Command {
	o := &updateOptions{build: buildOptions{parallel: 1}}
	cmd := &cobra.Command{
		Use:   "update [NAME…]",
		Short: "move pins to what is newest, and merge changed starters",
		Long: `Update moves pins of fnb.lock to the newest that the stack allows: all of them, or those that are named, by function (its template) or as fnb outdated prints them.

Where a template moves, what has changed in its starter between the old version and the new one is merged into the handlers of all functions that use it, file by file and line by line. No line of yours is lost: where both have changed the same place, both are in the file between marks, the files are listed, and the exit code is 1. A file that you deleted stays deleted, one that you changed is not removed, and where two files cannot be merged the template's is written beside yours as NAME.new.

With --dry-run nothing is written.`,
		Example:           "  # everything\n  fnb update\n\n  # what would happen to one function?\n  fnb update hello --dry-run\n\n  # one base image\n  fnb update docker.io/library/debian:bookworm-slim",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.runUpdate(cmd.Context(), o, args)
		},
	}
	f := cmd.Flags()
	addOutsideFlag(f, &o.build.outside)
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would change, and write nothing")
	f.BoolVar(&o.noMerge, "no-merge", false, "leave the handlers as they are")
	f.StringSliceVar(&o.build.insecure, "insecure-registry", nil, "speak plain HTTP to the registry `HOST` (repeatable)")
	return cmd
}

// An updated is what fnb update does: pins that move, and files that change.
type updated struct {
	Pins  []pinChange   `json:"pins"`
	Files []updatedFile `json:"files"`

	merges []*templates.StarterMerge
}

// An updatedFile is one file of a handler.
type updatedFile struct {
	Path   string `json:"path"`
	Action string `json:"action"`
	Beside string `json:"beside,omitempty"`
}

func (g *globals) runUpdate(ctx context.Context, o *updateOptions, names []string) error {
	if err := o.build.parse("fnb update"); err != nil {
		return err
	}
	n, err := g.lookUpNewest(ctx, &o.build, nil)
	if err != nil {
		return err
	}
	u := &updated{Pins: []pinChange{}, Files: []updatedFile{}}
	if u.Pins, err = n.chosen(names); err != nil {
		return err
	}
	lock := n.moved(u.Pins)
	if !o.noMerge {
		if err := n.mergeStarters(ctx, u); err != nil {
			return err
		}
	}
	if !o.dryRun {
		for _, m := range u.merges {
			err := m.Write()
			if c, ok := errors.AsType[*templates.ChangedError](err); ok {
				c.File = relative(c.File)
			}
			if err != nil {
				return err
			}
		}
		if len(u.Pins) > 0 {
			if err := lock.WriteLock(lockFile(n.pipeline.stack.File)); err != nil {
				return err
			}
		}
	}
	return errors.Join(g.printUpdated(u), u.conflicts())
}

func (u *updated) conflicts() error {
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

// chosen are those changes that were asked for by name; all without one.
func (n *newest) chosen(names []string) ([]pinChange, error) {
	if len(names) == 0 {
		return n.changes, nil
	}
	known := bothKeys(n.before.Templates, nil)
	known = append(append(known, bothKeys(n.before.Bases, nil)...), bothKeys(n.before.Watchdogs, nil)...)
	lang := map[string]string{}
	for _, fn := range n.pipeline.stack.Functions {
		lang[fn.Name] = fn.Lang
	}
	var wanted []string
	for _, name := range names {
		ref, isFunction := lang[name]
		switch {
		case isFunction:
			wanted = append(wanted, ref)
		case slices.Contains(known, name):
			wanted = append(wanted, name)
		default:
			for fn := range lang {
				known = append(known, fn)
			}
			return nil, &unknownFunctionError{name: name, file: relative(n.pipeline.stack.File), near: schema.Near(name, known)}
		}
	}
	return slices.DeleteFunc(slices.Clone(n.changes), func(c pinChange) bool { return !slices.Contains(wanted, c.Name) }), nil
}

// moved is the lock with only these changes.
func (n *newest) moved(changes []pinChange) *schema.Lock {
	lock, now := copyLock(n.before), n.pipeline.pins.lock()
	for _, c := range changes {
		switch c.Kind {
		case pinTemplate:
			lock.Templates[c.Name] = now.Templates[c.Name]
		case pinBase:
			lock.Bases[c.Name] = now.Bases[c.Name]
		case pinWatchdog:
			lock.Watchdogs[c.Name] = now.Watchdogs[c.Name]
		}
	}
	return lock
}

// mergeStarters works out what becomes of the handlers whose templates move.
func (n *newest) mergeStarters(ctx context.Context, u *updated) error {
	p := n.pipeline
	root := filepath.Dir(p.stack.File)
	done := map[string]bool{}
	for _, j := range n.jobs {
		moves := slices.ContainsFunc(u.Pins, func(c pinChange) bool { return c.Kind == pinTemplate && c.Name == j.fn.Lang })
		dir := filepath.Join(root, filepath.FromSlash(j.fn.Handler))
		if !moves || done[dir] {
			continue
		}
		done[dir] = true
		was, err := p.store.Pinned(ctx, j.fn.Lang, p.where(n.before))
		if err != nil {
			err = fmt.Errorf("the starter that %s began with cannot be had any more: %w", j.fn.Handler, err)
			return &functionError{name: j.fn.Name, doing: "updating template " + j.fn.Lang, err: hint(err, "move the pin and merge by hand with: fnb update "+j.fn.Name+" --no-merge")}
		}
		m, err := templates.MergeStarter(was, j.template, dir)
		if e, ok := errors.AsType[*templates.UnresolvedError](err); ok {
			e.File = relative(e.File)
		}
		if err != nil {
			return &functionError{name: j.fn.Name, doing: "updating template " + j.fn.Lang, err: err}
		}
		u.merges = append(u.merges, m)
		for _, c := range m.Changes {
			f := updatedFile{Path: relative(filepath.Join(dir, filepath.FromSlash(c.File))), Action: c.Action}
			if c.Beside != "" {
				f.Beside = relative(filepath.Join(dir, filepath.FromSlash(c.Beside)))
			}
			u.Files = append(u.Files, f)
		}
	}
	return nil
}

func (g *globals) printUpdated(u *updated) error {
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
