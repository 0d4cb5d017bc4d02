package main

import (
	"cmp"
	"errors"
	"strings"

	"fnb/builder"
	"fnb/internal/plain"
	"fnb/packaging"
	"fnb/pipeline"
	"fnb/pipeline/services"
)

// pushFirst is what helps if an image is nobody else's.
const pushFirst = ", or if a function of the stack makes it, push that first with: fnb build --push FUNCTION"

// notThere reports whether a registry does not have an image that a builder was to pull.
func notThere(err error) bool {
	s, ok := errors.AsType[*builder.SolveError](err)
	return ok && strings.HasPrefix(s.Problem, "pulling ") && strings.HasSuffix(s.Problem, ": not found")
}

// runtimeHints say how another version of a language's runtime is chosen, or another base image.
func runtimeHints(err error) []string {
	if e, ok := errors.AsType[*packaging.RuntimeError](err); ok {
		return []string{"correct the file, or choose the version without it: --build-arg " + e.Arg + "=" + cmp.Or(e.There, "VERSION")}
	}
	if s, ok := errors.AsType[*services.Error](err); ok && notThere(err) {
		return []string{"correct the image's name in " + relative(s.Place.File) + pushFirst}
	}
	e, ok := errors.AsType[*pipeline.NoImageError](err)
	switch {
	case !ok:
		return nil
	case len(e.Near) > 0:
		return []string{"take one that there is: --build-arg " + e.Arg + "=" + plain.ShellWord(e.Near[0])}
	case e.Dockerfile != "":
		return []string{"correct the image's name in " + relative(e.Dockerfile) + pushFirst}
	case e.Template != "":
		return []string{"see which images the template is made of with: fnb template show " + plain.ShellWord(e.Template)}
	}
	return nil
}
