package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"fnb/builder"
	"fnb/internal/lazyregexp"
	"fnb/packaging"
	"fnb/schema"
	"fnb/schema/runtimes"
)

// runtimeReport is what a report says of a runtime; nil where nothing is known.
func runtimeReport(rt *packaging.Runtime) *schema.RuntimeReport {
	if rt == nil || rt.Version == "" {
		return nil
	}
	return &schema.RuntimeReport{Name: rt.Name, Version: rt.Version, From: rt.From}
}

// endOfLife notes a runtime that nobody mends any more.
func endOfLife(rt *packaging.Runtime, now time.Time) []Note {
	if rt == nil {
		return nil
	}
	end := runtimes.EndOfLife(rt.Name, rt.Version)
	if end == "" || now.UTC().Format(time.DateOnly) < end {
		return nil
	}
	return []Note{{Text: fmt.Sprintf("%s %s (from %s) reached its end of life on %s: it gets no more fixes", runtimes.Title(rt.Name), rt.Version, rt.From, end)}}
}

// A NoImageError is a base image that is not there. If the project has chosen the version of a
// runtime that it is of, that is told, and which versions there are.
type NoImageError struct {
	Dockerfile string // that names it, if it is in the project; else ""
	Template   string // whose Dockerfile names it, where that is not the function's
	Runtime    string
	Version    string   // that the project chose; "" where it did not
	From       string   // what asks for it: a file, or a build arg
	Arg        string   // the build arg that goes before all files
	Image      string   // that there is none of
	Near       []string // versions of which there are images, as far as is known; the nearest first
	Err        error    // what the builder said
}

func (e *NoImageError) Error() string {
	if e.Version == "" {
		return e.Err.Error()
	}
	text := fmt.Sprintf("there is no image %s for %s %s, from %s", e.Image, runtimes.Title(e.Runtime), e.Version, e.From)
	switch len(e.Near) {
	case 0:
		return text
	case 1:
		return text + "; the nearest is " + e.Near[0]
	}
	return text + "; the nearest are " + strings.Join(e.Near, ", ")
}

func (e *NoImageError) Unwrap() error { return e.Err }

// notThere is how a builder says that a registry does not have an image.
var notThere = lazyregexp.New(`^pulling (\S+): not found$`)

// nearVersions is how many versions are named in the place of one that has no image, and
// askTags how long its registry has to say which there are.
const (
	nearVersions = 3
	askTags      = 15 * time.Second
)

// explained is the error of whatever a builder did for a plan, with what is known of it: who
// asked for a base image that is not there, and what the template could do.
func (p *Pipeline) explained(ctx context.Context, pl *Plan, err error) error {
	if se, ok := errors.AsType[*builder.SolveError](err); ok {
		if m := notThere.FindStringSubmatch(se.Problem); m != nil {
			e := &NoImageError{Image: m[1], Dockerfile: pl.Job.Place.Dockerfile, Template: pl.Job.Function.Lang, Err: err}
			p.explainRuntime(ctx, pl.context.Runtime, e)
			err = e
		}
	}
	return p.offering(pl.Job.Function, pl.Template, err)
}

// explainRuntime says which file asked for the image, if the project chose the version in its
// tag, and what there is instead: of the registry's tags, or where it does not tell them, of
// the releases that fnb knows.
func (p *Pipeline) explainRuntime(ctx context.Context, rt *packaging.Runtime, e *NoImageError) {
	ref, err := schema.ParseImageRef(e.Image)
	if rt == nil || !rt.Project || err != nil || ref.Digest != "" { // a digest is nobody's version
		return
	}
	before, behind, ok := around(ref.Tag, rt.Version)
	if !ok {
		return
	}
	e.Runtime, e.Version, e.From, e.Arg = rt.Name, rt.Version, rt.From, rt.Arg
	var there []string
	ctx, stop := context.WithTimeout(ctx, askTags)
	defer stop()
	for _, tag := range p.tagsOf(ctx, ref) {
		rest, begins := strings.CutPrefix(tag, before)
		if version, ends := strings.CutSuffix(rest, behind); begins && ends {
			there = append(there, version)
		}
	}
	if len(there) == 0 {
		for _, r := range runtimes.Releases(rt.Name) {
			there = append(there, r.Version)
		}
	}
	near := runtimes.Nearest(rt.Version, there)
	near = slices.DeleteFunc(near, func(v string) bool { return v == rt.Version })
	e.Near = near[:min(len(near), nearVersions)]
}

// around is what a tag has before and behind a version; false where the version is not in it,
// or a part of another: "9" of "3.9-temurin-9" is the last one.
func around(tag, version string) (before, behind string, ok bool) {
	for at := range len(tag) {
		behind, ok = strings.CutPrefix(tag[at:], version)
		if before = tag[:at]; ok && version != "" && !endsInNumber.MatchString(before) && !beginsWithNumber.MatchString(behind) {
			return before, behind, true
		}
	}
	return "", "", false
}

var (
	endsInNumber     = lazyregexp.New(`\d\.?$`)
	beginsWithNumber = lazyregexp.New(`^\.?\d`)
)

// tagsOf are the tags beside an image, of the first mirror that tells them or the registry
// itself; none where nobody does.
func (p *Pipeline) tagsOf(ctx context.Context, ref schema.ImageRef) []string {
	for _, host := range append(slices.Clone(p.Mirrors), ref.Registry) {
		at := ref
		at.Registry = host
		if tags, err := p.Registry.Tags(ctx, at.String()); err == nil && len(tags) > 0 {
			return tags
		}
	}
	return nil
}
