package pipeline

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"fnb/internal/once"
	"fnb/packaging"
	"fnb/schema"
	"fnb/store"
	"fnb/templates"
)

// A resolved is a function's template.
type resolved struct {
	findings
	Template *templates.Template // nil where it was not found
	Pin      schema.Pin
	news     bool // the lock did not have it
}

// An assembled is a function's build context.
type assembled struct {
	resolved
	context *packaging.Context // nil where there is none
}

// A resolution is a template that functions share.
type resolution struct {
	tmpl  *templates.Template
	pin   schema.Pin
	news  bool
	notes []string
}

// resolutions are the templates that a run has looked up. The zero value is ready for use.
type resolutions struct {
	langs sync.Map                     // *sync.Mutex by template reference, held while it is looked up
	known once.Map[string, resolution] // by reference and platforms
}

// lock has a reference looked up by one at a time, for whatever platforms.
func (r *resolutions) lock(lang string) (unlock func()) {
	one, _ := r.langs.LoadOrStore(lang, &sync.Mutex{})
	mu, ok := one.(*sync.Mutex)
	if !ok {
		return func() {}
	}
	mu.Lock()
	return mu.Unlock
}

// ForgetTemplates has templates looked up again: one in a folder may be another now.
func (p *Pipeline) ForgetTemplates() { p.templates.known.Forget() }

// resolve finds the function's template, once for all functions that want it.
func (p *Pipeline) resolve(ctx context.Context, fn schema.Function) (found resolved, err error) {
	defer found.clock("resolve")()
	if err := p.CheckPaths(fn); err != nil {
		return found, While("checking its paths", err)
	}
	if err := p.checkThere(fn); err != nil {
		return found, While("checking its paths", err)
	}
	r, err := p.templates.known.Get(ctx, fmt.Sprint(fn.Lang, " ", fn.Platforms), func() (resolution, error) { return p.find(ctx, fn) })
	if err == nil {
		found.Template, found.Pin, found.news, found.Notes = r.tmpl, r.pin, r.news, notesOf(r.notes)
	}
	return found, While("resolving template "+fn.Lang, err)
}

// Scope says what the stack and a lock mean for templates.
func (p *Pipeline) Scope(lock *schema.Lock) store.Scope {
	return store.Scope{Root: p.Reach.Root, Allow: p.Reach.Allow, Sources: p.Stack.Configuration.Templates, Lock: lock, OpenFaaS: p.ofOpenFaaS(), Policy: p.Policy}
}

// ofOpenFaaS reports whether the names of OpenFaaS's template store are found.
func (p *Pipeline) ofOpenFaaS() bool {
	return p.settings.Pinning.OpenFaaS && p.Stack.Provider.Name == "openfaas"
}

// find looks a template up, and pins it where it is not.
func (p *Pipeline) find(ctx context.Context, fn schema.Function) (r resolution, err error) {
	defer p.templates.lock(fn.Lang)()
	scope := p.Scope(p.Pins.Now())
	scope.Frozen, scope.Platforms, scope.Before = p.settings.Pinning.Frozen, fn.Platforms, p.Pins.File().Templates[fn.Lang]
	r.tmpl, r.pin, r.notes, err = p.Store.Resolve(ctx, fn.Lang, scope)
	if err != nil {
		return r, &TemplateError{Reference: fn.Lang, Err: err}
	}
	if r.news = p.Pins.AddTemplate(fn.Lang, r.pin); r.news {
		if err := p.Store.Keep(ctx, r.tmpl); err != nil { // for fnb update, later
			r.notes = append(r.notes, err.Error())
		}
	}
	return r, nil
}

// instead notes the official template that would serve a handler better: where its template
// is news, and not at each build.
func (bc *assembled) instead(fn schema.Function) {
	if !bc.news {
		return
	}
	handler, err := fs.Sub(bc.context.FS, bc.Template.Handler.Folder)
	if err != nil {
		return // there is none
	}
	if i, ok := templates.OfficialInstead(bc.Template.Name, handler, fn.BuildOptions); ok {
		bc.note("", i.String())
	}
}

// assemble packages template and handler into a build context.
func (p *Pipeline) assemble(ctx context.Context, fn schema.Function, tmpl resolved) (bc assembled, err error) {
	bc.resolved = tmpl
	defer bc.clock("package")()
	bc.context, err = packaging.Assemble(ctx, packaging.Input{
		Function: p.ownSecrets(p.Titled(fn)), Template: tmpl.Template, Root: p.Reach.Root, Allow: p.Reach.Allow,
		Copy:         slices.Concat(p.Stack.Configuration.Copy, p.settings.Inputs.Copies),
		BuildOptions: p.settings.Inputs.BuildOptions, BuildArgs: p.settings.Inputs.BuildArgs, Watchdog: p.settings.Inputs.Watchdog,
		Target: p.settings.Inputs.Target, Debug: p.settings.Debug, NoAccelerate: p.settings.Inputs.NoAccelerate, Hidden: p.hidden(),
		AbsentSecrets: p.settings.CompareOnly, Relock: p.settings.Inputs.Relock, Stats: p.stats,
	})
	if err != nil {
		return bc, While("packaging "+fn.Handler, p.offering(fn, tmpl.Template, err))
	}
	bc.Notes = append(bc.Notes, notesOf(bc.context.Notes)...)
	bc.instead(fn)
	bc.Notes = append(bc.Notes, endOfLife(bc.context.Runtime, time.Now())...)
	return bc, nil
}
