package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/schema"
)

func newLock(g *globals) *cobra.Command {
	o := &buildOptions{parallel: 1}
	upgrade := false
	cmd := &cobra.Command{
		Use:   "lock [FUNCTION…]",
		Short: "write or refresh fnb.lock without building",
		Long: `Lock pins what the functions of the stack need, or those that are named: templates by version, checksum and commit, base images and watchdogs by digest. What fnb.lock has already stays as it is; what it lacks is looked up and added, and printed.

With --upgrade everything is looked up anew, and entries that no function of the stack needs are dropped. Handlers stay as they are: fnb update merges what a newer template has changed into them. With --frozen nothing is written, and what fnb.lock lacks is an error.`,
		Example:           "  # add what is missing, and commit it\n  fnb lock && git add fnb.lock\n\n  # in CI: is everything pinned?\n  fnb lock --frozen",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if upgrade && o.frozen {
				return usagef(cmd.CommandPath(), "--upgrade and --frozen exclude one another")
			}
			return g.runLock(cmd.Context(), o, upgrade, args)
		},
	}
	f := cmd.Flags()
	addOutsideFlag(f, &o.outside)
	f.BoolVar(&upgrade, "upgrade", false, "look everything up anew")
	f.BoolVar(&o.frozen, "frozen", false, "fail unless fnb.lock covers everything")
	f.StringSliceVar(&o.platforms, "platform", nil, "pin watchdogs for `PLATFORMS`, such as linux/amd64,linux/arm64")
	f.StringArrayVarP(&o.rawArgs, "build-arg", "b", nil, "set the build arg `K=V`, which may decide about base images (repeatable)")
	f.StringVar(&o.watchdog, "watchdog", "", "pin the watchdog of the image `REF`")
	f.StringSliceVar(&o.insecure, "insecure-registry", nil, "speak plain HTTP to the registry `HOST` (repeatable)")
	return cmd
}

func (g *globals) runLock(ctx context.Context, o *buildOptions, upgrade bool, names []string) error {
	if err := o.parse("fnb lock"); err != nil {
		return err
	}
	p, fns, err := g.newPipeline(o, names, schema.SourceKeys())
	if err != nil {
		return err
	}
	defer p.close()
	if upgrade {
		if err := p.forget(ctx, g, fns, len(names) == 0); err != nil {
			return err
		}
	}
	jobs := pinJobs(fns)
	if err := g.pinAll(ctx, p, jobs); err != nil {
		return err
	}
	changes := p.pins.changes()
	if err := p.writeLock(); err != nil {
		return err
	}
	return g.printPins(changes)
}

// forget has everything that functions need be looked up anew: all there is, or
// with their names only theirs.
func (p *pipeline) forget(ctx context.Context, g *globals, fns []schema.Function, all bool) error {
	p.opts.pull, p.upgrade = true, true
	var langs []string
	for _, fn := range fns {
		langs = append(langs, fn.Lang)
	}
	p.pins.forget(langs, all)
	return g.freshenStores(ctx, p)
}

// freshenStores reads the stores anew, since somebody wants what is newest. One that
// does not answer is used as the cache has it, or missed where it is needed.
func (g *globals) freshenStores(ctx context.Context, p *pipeline) error {
	if g.offline {
		return nil
	}
	notes, err := p.store.UpdateStores(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		notes = append(notes, err.Error())
	}
	if !g.quiet {
		g.tell(notes)
	}
	return nil
}

// Kinds of pins.
const (
	pinTemplate = "template"
	pinBase     = "base"
	pinWatchdog = "watchdog"
)

// A pinChange is one entry of fnb.lock that is, or could be, another.
type pinChange struct {
	Kind   string    `json:"kind"`
	Name   string    `json:"name"`             // as in fnb.lock
	Locked *pinnedTo `json:"locked,omitempty"` // none is that it was not pinned
	Newest *pinnedTo `json:"newest,omitempty"` // none is that nothing needs it any more
	Latest string    `json:"latest,omitempty"` // a template's newest version, where its range does not allow it
}

// A pinnedTo is what an entry of fnb.lock names.
type pinnedTo struct {
	Version string `json:"version,omitempty"`
	Commit  string `json:"commit,omitempty"`
	Digest  string `json:"digest"` // of an image or a layer, or the checksum of a template
}

func (p *pinnedTo) String() string {
	switch {
	case p == nil:
		return "-"
	case p.Version != "":
		return p.Version
	case p.Commit != "":
		return p.Commit[:12]
	}
	return shortDigest(p.Digest)
}

// shortDigest is enough of a digest for a person.
func shortDigest(d string) string {
	at := strings.LastIndex(d, ":") + 1
	return d[:min(len(d), at+12)]
}

// lockChanges are the entries in which two locks differ, by kind and name.
func lockChanges(before, after *schema.Lock) []pinChange {
	var all []pinChange
	add := func(kind, name string, was, is *pinnedTo) {
		if was == nil || is == nil || *was != *is {
			all = append(all, pinChange{Kind: kind, Name: name, Locked: was, Newest: is})
		}
	}
	template := func(l *schema.Lock, ref string) *pinnedTo {
		pin, ok := l.Templates[ref]
		if !ok {
			return nil
		}
		return &pinnedTo{Version: pin.Version, Commit: pin.Commit, Digest: pin.Checksum}
	}
	base := func(l *schema.Lock, ref string) *pinnedTo {
		if l.Bases[ref] == "" {
			return nil
		}
		return &pinnedTo{Digest: l.Bases[ref]}
	}
	for _, ref := range bothKeys(before.Templates, after.Templates) {
		add(pinTemplate, ref, template(before, ref), template(after, ref))
	}
	for _, ref := range bothKeys(before.Bases, after.Bases) {
		add(pinBase, ref, base(before, ref), base(after, ref))
	}
	for _, ref := range bothKeys(before.Watchdogs, after.Watchdogs) {
		if was, is := before.Watchdogs[ref], after.Watchdogs[ref]; !maps.Equal(was, is) {
			all = append(all, pinChange{Kind: pinWatchdog, Name: ref, Locked: anyWatchdog(was, is), Newest: anyWatchdog(is, was)})
		}
	}
	return all
}

// anyWatchdog is a watchdog by the first platform in which it is not what another
// is.
func anyWatchdog(w, other map[string]string) *pinnedTo {
	for _, pl := range slices.Sorted(maps.Keys(w)) {
		if w[pl] != other[pl] {
			return &pinnedTo{Digest: w[pl]}
		}
	}
	for _, pl := range slices.Sorted(maps.Keys(w)) {
		return &pinnedTo{Digest: w[pl]}
	}
	return nil
}

func bothKeys[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// printPins prints what has changed in fnb.lock, an entry a line.
func (g *globals) printPins(changes []pinChange) error {
	if g.json {
		if changes == nil {
			changes = []pinChange{}
		}
		return g.printJSON(changes)
	}
	var errs []error
	for _, c := range changes {
		_, err := fmt.Fprintln(g.out, c.Kind, plain.Line(c.Name), plain.Line(c.Newest.String()))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
