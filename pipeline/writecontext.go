package pipeline

import (
	"context"
	"fmt"
	"path/filepath"

	"fnb/packaging"
	"fnb/schema"
)

// writeContext is build up to the build context, which it writes below a folder.
func (p *Pipeline) writeContext(ctx context.Context, j *Job) (Outcome, error) {
	tmpl, err := p.resolve(ctx, j.Function)
	bc := assembled{resolved: tmpl}
	if err == nil {
		bc, err = p.assemble(ctx, j.Function, tmpl)
	}
	pl := &Plan{Job: j, assembled: bc}
	if err != nil {
		return p.record(ctx, pl, lookup{}, nil, err)
	}
	dir := filepath.Join(p.settings.Destination.Path, j.Function.Name)
	if err := p.outside(j.Function, dir); err != nil {
		return p.record(ctx, pl, lookup{}, nil, While("packaging "+j.Function.Handler, err))
	}
	img := &image{status: "context", reference: dir, findings: findings{Notes: notesOf(bc.context.Details)}}
	err = packaging.WriteDir(ctx, bc.context.FS, dir)
	if err != nil {
		err = &ContextError{Dir: dir, Err: err}
	}
	return p.record(ctx, pl, lookup{}, img, While("writing the build context to "+dir, err))
}

// outside refuses a folder inside of a handler, which would be part of its next image.
func (p *Pipeline) outside(fn schema.Function, dir string) error {
	at, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	handler, err := filepath.Abs(filepath.Join(filepath.Dir(p.Stack.File), fn.Handler))
	if err != nil {
		return err
	}
	if below, err := filepath.Rel(handler, at); err == nil && filepath.IsLocal(below) {
		return fmt.Errorf("writing to %s: it is inside the handler %s, whose image would have it next time", dir, fn.Handler)
	}
	return nil
}
