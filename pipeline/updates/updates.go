// Package updates says what is newer than fnb.lock ([Look]), and what becomes of a stack that
// takes it: pins that move, and handlers whose templates' starters have changed.
package updates

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"fnb/internal/spelling"
	"fnb/pipeline"
	"fnb/pipeline/pins"
	"fnb/pipeline/services"
	"fnb/schema"
	"fnb/templates"
)

// A Newest is what could be in fnb.lock now.
type Newest struct {
	Changes []pins.Change     // of entries that fnb.lock has
	Latest  map[string]string // versions of templates that their ranges do not allow
	Missed  []error           // why what could not be looked up could not; its pins stay
	Before  *schema.Lock

	line  *pipeline.Pipeline
	plans []*pipeline.Plan
}

// Look looks up what functions need as if nothing were pinned; tell is called with what
// is noted. The pipeline has that then, and no file.
func Look(ctx context.Context, p *pipeline.Pipeline, fns []schema.Function, tell func([]string)) (*Newest, error) {
	n := &Newest{line: p, Before: p.Pins.Now(), Latest: map[string]string{}}
	notes, err := p.Forget(ctx, fns, true)
	if err != nil {
		return nil, err
	}
	tell(notes)
	n.plans, err = p.Pin(ctx, fns)
	tell(p.Told(n.plans))
	if err == nil {
		err = services.Pin(ctx, p, fns)
	}
	if err != nil {
		return nil, err
	}
	if err := services.Missed(p, fns); err != nil { // the same
		n.Missed = append(n.Missed, err)
		tell([]string{err.Error()})
	}
	if run, ok := errors.AsType[*pipeline.RunError](p.Missed(ctx, n.plans)); ok { // whose pins stay
		for _, f := range run.Failed {
			n.Missed = append(n.Missed, f)
			tell([]string{f.Error()})
		}
	}
	for _, c := range p.Pins.Changes() {
		if c.Locked != nil && c.Newest != nil {
			n.Changes = append(n.Changes, c)
		}
	}
	for ref, pin := range p.Pins.Now().Templates {
		if _, ok := n.Before.Templates[ref]; !ok {
			continue
		}
		if n.Latest[ref], err = p.Store.Later(ctx, ref, pin.Version); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Outdated are the entries of fnb.lock than which something newer exists, also where the
// stack does not allow it; movable says that some could be moved.
func (n *Newest) Outdated() (changes []pins.Change, movable bool) {
	changes = n.Changes
	seen := map[string]bool{}
	for _, c := range changes {
		seen[c.Name] = true
	}
	for ref, pin := range n.Before.Templates {
		if n.Latest[ref] != "" && !seen[ref] {
			is := &pins.Choice{Version: pin.Version, Commit: pin.Commit, Digest: pin.Checksum}
			changes = append(changes, pins.Change{Kind: pins.Template, Name: ref, Locked: is, Newest: is})
		}
	}
	for i := range changes {
		if c := &changes[i]; c.Kind == pins.Template {
			c.Latest = n.Latest[c.Name]
		}
		movable = movable || *changes[i].Locked != *changes[i].Newest
	}
	return changes, movable
}

// Chosen are those changes that are asked for by the name of a function or of an entry; all
// without one.
func (n *Newest) Chosen(names []string) ([]pins.Change, error) {
	if len(names) == 0 {
		return n.Changes, nil
	}
	known := pins.Names(n.Before)
	lang := map[string]string{}
	for _, fn := range n.line.Stack.Functions {
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
			return nil, &pipeline.UnknownFunctionError{Name: name, File: n.line.Stack.File, Near: spelling.Near(name, known)}
		}
	}
	return slices.DeleteFunc(slices.Clone(n.Changes), func(c pins.Change) bool { return !slices.Contains(wanted, c.Name) }), nil
}

// WriteLock writes the lock with only these changes.
func (n *Newest) WriteLock(changes []pins.Change) error {
	if len(changes) == 0 {
		return nil
	}
	return pins.Moved(n.Before, n.line.Pins.Now(), changes).WriteLock(pipeline.LockFile(n.line.Stack.File))
}

// A StarterError says that the starter which a handler began with cannot be had any more.
type StarterError struct {
	Function, Handler string
	Err               error
}

func (e *StarterError) Error() string {
	return "the starter that " + e.Handler + " began with is not available any more: " + e.Err.Error()
}

func (e *StarterError) Unwrap() error { return e.Err }

// A Merge is what becomes of a handler whose template moves.
type Merge struct {
	*templates.StarterMerge
	Dir string // of the handler
}

// Merges works out what becomes of the handlers whose templates move. Nothing is written.
func (n *Newest) Merges(ctx context.Context, moved []pins.Change) ([]Merge, error) {
	var merges []Merge
	p := n.line
	done := map[string]bool{}
	for _, pl := range n.plans {
		fn := pl.Job.Function
		moves := slices.ContainsFunc(moved, func(c pins.Change) bool { return c.Kind == pins.Template && c.Name == fn.Lang })
		dir := filepath.Join(filepath.Dir(p.Stack.File), filepath.FromSlash(fn.Handler))
		if !moves || done[dir] {
			continue
		}
		done[dir] = true
		was, err := p.Store.Pinned(ctx, fn.Lang, p.Scope(n.Before))
		if err != nil {
			err = &StarterError{Function: fn.Name, Handler: fn.Handler, Err: err}
		}
		var m *templates.StarterMerge
		if err == nil {
			m, err = templates.MergeStarter(was, pl.Template, dir)
		}
		if err != nil {
			return nil, &pipeline.FunctionError{Name: fn.Name, Doing: "updating template " + fn.Lang, Err: err}
		}
		merges = append(merges, Merge{m, dir})
	}
	return merges, nil
}
