package main

import (
	"errors"
	"os"
	"path/filepath"

	"fnb/builder"
	"fnb/internal/ci"
	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/schema/document"
)

// remarks finds the places that an error is about: in the stack file, in a
// template or in a Dockerfile.
func remarks(c ci.Runner, err error) []ci.Remark {
	var out []ci.Remark
	if err == nil {
		return nil
	}
	for _, e := range flatten(err) {
		if te, ok := errors.AsType[*testError](e); ok && len(te.problems) > 0 {
			out = append(out, remarks(c, errors.Join(te.problems...))...)
			continue
		}
		fe, ok := errors.AsType[*pipeline.FunctionError](e)
		if !ok {
			out = append(out, remarkOf(c, "fnb", pipeline.Place{}, e))
			continue
		}
		for _, inner := range flatten(here(fe.Err)) {
			out = append(out, remarkOf(c, "fnb: "+fe.Name, fe.Place, inner))
		}
	}
	return out
}

func remarkOf(c ci.Runner, title string, at pipeline.Place, err error) ci.Remark {
	r := ci.Remark{Title: title, Text: plain.Line(message(err)), Path: c.Relative(at.Stack), Line: at.Line}
	if se, ok := errors.AsType[*builder.SolveError](err); ok && se.Line > 0 && at.Dockerfile != "" {
		r.Path, r.Line = c.Relative(at.Dockerfile), se.Line
	}
	if e, ok := errors.AsType[*document.FieldError](err); ok && e.File != "" {
		for _, file := range []string{filepath.Join(at.Template, e.File), e.File} {
			if _, err := os.Stat(file); err == nil {
				r.Path, r.Line, r.Column = c.Relative(file), e.Line, e.Column
				break
			}
		}
	}
	return r
}
