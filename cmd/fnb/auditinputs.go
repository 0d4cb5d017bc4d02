package main

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"fnb/audit"
	"fnb/builder/fleet"
	"fnb/internal/plain"
	"fnb/packaging"
	"fnb/pipeline"
	"fnb/pipeline/contents"
	"fnb/schema"
)

// auditQuestion is what the command line asks of an audit.
func (g *globals) auditQuestion(ctx context.Context, o *auditOptions, args []string, cache string) (q audit.Question, stackFile string, err error) {
	f := &contents.Finder{Cache: filepath.Join(cache, "images"), Layers: o.scan, Version: fnbVersion()}
	if f.Images, err = openImages(""); err != nil {
		return q, "", err
	}
	if !g.offline {
		if f.Registry, err = newRegistry(o.insecure); err != nil {
			return q, "", err
		}
	}
	own, err := packaging.Watchdog()
	if err != nil {
		return q, "", err
	}
	q.Watchdog = slices.Sorted(maps.Values(own.Layers))
	stackFile = "stack.yaml"
	names, refs := byKind(args)
	if o.store != "" {
		if len(args) > 0 {
			return q, "", usagef("fnb audit", "--store looks at all functions of a store: leave out %s", plain.Quoted(args[0]))
		}
		if refs, err = g.storeImages(ctx, o.store); err != nil {
			return q, "", err
		}
	}
	if len(names) > 0 || len(refs) == 0 && o.store == "" {
		if stackFile, err = g.auditFunctions(ctx, &q, f, names); err != nil {
			return q, "", err
		}
	}
	more, notes, err := f.Refs(ctx, refs)
	g.tellMore(notes)
	q.Subjects = append(q.Subjects, more...)
	if err != nil {
		return q, "", orList(err)
	}
	return q, stackFile, g.readVEX(&q, o.vex, filepath.Dir(stackFile))
}

// byKind tells names of functions from references of images, which have a slash or a colon.
func byKind(args []string) (names, refs []string) {
	for _, a := range args {
		if strings.ContainsAny(a, "/:@") {
			refs = append(refs, a)
		} else {
			names = append(names, a)
		}
	}
	return names, refs
}

// auditFunctions adds functions of the stack, and what fnb.lock has, to what an audit is asked.
func (g *globals) auditFunctions(ctx context.Context, q *audit.Question, f *contents.Finder, names []string) (stackFile string, err error) {
	stack, err := g.readStack()
	if err != nil {
		return "", err
	}
	fns, err := chooseFunctions(stack, names, choice{})
	if err != nil {
		return "", err
	}
	lock, err := schema.ReadLock(pipeline.LockFile(stack.File))
	if err != nil {
		return "", err
	}
	subjects, notes, err := f.Functions(ctx, stack, fns)
	g.tellMore(notes)
	if err != nil {
		return "", err
	}
	st, err := g.newStore()
	if err != nil {
		return "", err
	}
	for i, fn := range fns {
		pin, ok := lock.Templates[fn.Lang]
		if !ok {
			continue
		}
		if y := st.Withdrawn(fn.Lang, pin); y != nil {
			subjects[i].Yanked = &audit.Yanked{Name: fn.Lang, Version: pin.Version, Reason: y.Reason, Severity: y.Severity, Use: y.Use}
		}
	}
	q.Subjects = append(q.Subjects, subjects...)
	if len(names) == 0 {
		q.Bases = slices.Sorted(maps.Keys(lock.Bases))
	}
	q.Builders, err = g.otherBuilder(ctx)
	return stack.File, err
}

// otherBuilder is the version of a builder that somebody named; fnb's own is as new as fnb.
// One that does not answer is a note.
func (g *globals) otherBuilder(ctx context.Context) ([]audit.BuilderVersion, error) {
	c, err := g.choice()
	if err != nil {
		return nil, err
	}
	if g.offline || !slices.ContainsFunc(c.Settings, func(s fleet.Setting) bool { return s.Address != "" }) {
		return nil, nil
	}
	client, err := g.connect(ctx)
	if err != nil {
		g.tellMore([]string{"the builder's version is not known: " + plain.Short(err.Error())})
		return nil, ctx.Err()
	}
	defer func() { _ = client.Close() }() // it was asked one thing
	info, err := client.Info(ctx)
	if err != nil {
		return nil, err
	}
	return []audit.BuilderVersion{{Address: info.Address, Version: info.Version}}, nil
}

// storeImages are the images of a store's functions.
func (g *globals) storeImages(ctx context.Context, name string) ([]string, error) {
	st, err := g.newStore()
	if err != nil {
		return nil, err
	}
	refs, notes, err := contents.Stored(ctx, st, name)
	g.tellMore(notes)
	return refs, err
}

// readVEX reads the documents that were named, and those of the project.
func (g *globals) readVEX(q *audit.Question, named []string, dir string) error {
	files, err := audit.ProjectVEX(dir)
	if err != nil {
		return err
	}
	for _, file := range append(files, named...) {
		v, err := audit.ReadVEX(relative(file))
		if err != nil {
			return err
		}
		q.VEX = append(q.VEX, v)
	}
	return nil
}
