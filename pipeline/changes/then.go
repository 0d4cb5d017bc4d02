package changes

import (
	"context"
	"fmt"
	"slices"

	"fnb/gitrepo"
	"fnb/pipeline"
	"fnb/schema"
)

// A Then is the project as a revision has it, for whoever makes images of it. Its files are in a folder of their own, until it
// is closed.
type Then struct {
	*pipeline.Pipeline // of the same settings; nil where the revision has no such stack file

	now      *pipeline.Pipeline
	project  *oldProject
	revision string
}

// Open opens the project of a revision. Its functions can be built once [Then.Was] has been asked for them.
func Open(ctx context.Context, p *pipeline.Pipeline, fns []schema.Function, revision string, open func() (*gitrepo.Repo, error)) (*Then, error) {
	project, err := at(ctx, p, fns, revision, open)
	if err != nil {
		return nil, fmt.Errorf("comparing with %s: %w", revision, err)
	}
	t := &Then{now: p, project: project, revision: revision}
	if project != nil {
		t.Pipeline = project.Pipeline
	}
	return t, nil
}

// Was is the function of the same name at the revision, nil for none, and whether the inputs of its image are others now. A
// function that cannot be packaged is another.
func (t *Then) Was(ctx context.Context, fn schema.Function) (was *schema.Function, differs bool, err error) {
	if t.project == nil {
		return nil, true, nil
	}
	differs, err = differ(ctx, t.now, t.project, fn)
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	differs = differs || err != nil // who builds it will say why
	at := slices.IndexFunc(t.project.Stack.Functions, func(f schema.Function) bool { return f.Name == fn.Name })
	if at < 0 || !differs {
		return nil, differs, nil
	}
	was = &t.project.Stack.Functions[at]
	if err := t.project.writeInputs(ctx, *was); err != nil {
		return nil, true, fmt.Errorf("comparing with %s: %w", t.revision, err)
	}
	return was, true, nil
}

// Close removes the files. It may be called twice.
func (t *Then) Close() error {
	if t.project != nil {
		t.project.close()
		t.project = nil
	}
	return nil
}
