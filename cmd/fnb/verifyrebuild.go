package main

import (
	"context"
	"fmt"
	"os"

	"fnb/images"
	"fnb/pipeline"
	"fnb/schema"
)

// A rebuildError is an image that its source does not make.
type rebuildError struct {
	ref      string
	first    *images.Difference
	revision string // that the image names; "" where its inputs are equal
}

func (e *rebuildError) Error() string {
	s := e.ref + " is not what a rebuild makes: " + e.first.String()
	if e.revision != "" {
		s += "; it was made of other inputs"
	}
	return s
}

// runRebuild builds an image again, in a folder of its own, and compares.
func (g *globals) runRebuild(ctx context.Context, want wanted, ref string) error {
	p, fns, err := g.newPipeline(want)
	if err != nil {
		return err
	}
	defer p.Close()
	fn, err := functionOf(fns, ref)
	if err != nil {
		return err
	}
	if err := p.open(g, 1); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "fnb-verify-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears it too
	if p.Images, err = images.Open(dir); err != nil {
		return err
	}
	out, err := p.Rebuild(ctx, fn, ref)
	p.Close()
	if err != nil {
		return err
	}
	return g.printVerified(out)
}

// functionOf is the function whose image ref is: the only one that was named, the one
// with that reference, or the only one in ref's repository.
func functionOf(fns []schema.Function, ref string) (schema.Function, error) {
	want, err := pipeline.ParseReference(ref)
	if err != nil {
		return schema.Function{}, usagef("fnb verify", "%w", err)
	}
	repository := want.Says.Name()
	if len(fns) == 1 {
		return fns[0], nil
	}
	var same, near []schema.Function
	for _, fn := range fns {
		has, err := schema.ParseImageRef(fn.Image)
		if err != nil || has.Name() != repository {
			continue
		}
		near = append(near, fn)
		if has.Same(want.Says) {
			same = append(same, fn)
		}
	}
	for _, found := range [][]schema.Function{same, near} {
		if len(found) == 1 {
			return found[0], nil
		}
	}
	say := "name the function: fnb verify --rebuild " + ref + " FUNCTION"
	if len(near) == 0 {
		return schema.Function{}, hint(&foreignImageError{repository}, say)
	}
	return schema.Function{}, hint(usagef("fnb verify", "%d functions of the stack have their images in %s", len(near), repository), say)
}

// A foreignImageError is an image that no function of the stack has.
type foreignImageError struct{ repository string }

func (e *foreignImageError) Error() string {
	return "no function of the stack has its image in " + e.repository
}

func (g *globals) printVerified(v pipeline.RebuildResult) error {
	var err error
	if g.json {
		err = g.printIndented(v)
	} else if v.Difference == nil {
		_, err = fmt.Fprintln(g.out, v.Reference, v.Digest)
	}
	if v.Difference == nil || err != nil {
		return err
	}
	if v.Inputs {
		v.Revision = ""
	}
	return &rebuildError{ref: v.Reference, first: v.Difference, revision: v.Revision}
}
