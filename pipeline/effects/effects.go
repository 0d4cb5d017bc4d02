// Package effects says what a change of a stack does to its functions: [Look] makes their images as they were at a git
// revision and as they are now, [Change.Audit] compares what is known to be wrong with them, and [Change.Markdown] tells it all.
package effects

import (
	"context"
	"runtime"
	"slices"

	"fnb/audit"
	"fnb/gitrepo"
	"fnb/pipeline"
	"fnb/pipeline/changes"
	"fnb/pipeline/locks"
	"fnb/pipeline/pins"
	"fnb/sbom"
	"fnb/schema"
	"fnb/templates"
)

// A Change is what is proposed, and what comes of it.
type Change struct {
	Pins      []pins.Change
	Files     []File
	Locks     []locks.Lock // of package managers; those that did not change are left out of what is told
	Unlocked  error        // why not all of them could be made; nil where they were
	Functions []Function   // whose images are others
	Tests     []pipeline.TestResult
	Holes     Holes
}

// A File is one of a handler into which a changed starter was merged.
type File struct {
	Path   string `json:"path"`
	Action string `json:"action"`           // as templates.StarterChange has it
	Beside string `json:"beside,omitempty"` // the file with the template's; "" is none
}

// Conflict reports whether a person has to choose.
func (f *File) Conflict() bool { return f.Action == templates.StarterConflict }

// A Function is one whose image is another.
type Function struct {
	Name   string
	Before *Image // nil where there was none, or it cannot be made
	After  *Image // nil where it cannot be made
	Lost   error  // why Before cannot be made
	Failed error  // why After cannot
}

// An Image is what is in a function's image.
type Image struct {
	Size     int64 // bytes of its compressed layers, of all platforms
	Packages []sbom.Package
	subjects []audit.Subject // one for each platform
}

// Look makes the images of those functions that are not what they were at a revision: in the image store, as they were and
// then as they are. Why one cannot be made is in its [Function]; the error is that of the revision, or of the context.
func Look(ctx context.Context, p *pipeline.Pipeline, fns []schema.Function, revision string, open func() (*gitrepo.Repo, error)) ([]Function, error) {
	then, err := changes.Open(ctx, p, fns, revision, open)
	if err != nil {
		return nil, err
	}
	defer func() { _ = then.Close() }() // files in the temporary folder
	jobs, err := p.Jobs(ctx, fns)
	if err != nil {
		return nil, err
	}
	var out []Function
	var is, had []*pipeline.Job
	var of []int // of each of had, which of out it is
	for _, j := range jobs {
		fn := fns[slices.IndexFunc(fns, func(f schema.Function) bool { return f.Name == j.Function.Name })]
		was, differs, err := then.Was(ctx, fn)
		if err != nil {
			return nil, err
		}
		if !differs {
			continue
		}
		out, is = append(out, Function{Name: fn.Name}), append(is, j)
		if was == nil {
			continue
		}
		before, err := then.Jobs(ctx, []schema.Function{*was})
		if err != nil {
			out[len(out)-1].Lost = err
			continue
		}
		had, of = append(had, before[0]), append(of, len(out)-1)
	}
	// An image has one name in the image store: those of now are made last, so that it stays theirs.
	err = pipeline.Each(ctx, had, runtime.NumCPU(), func(ctx context.Context, i int, j *pipeline.Job) error {
		out[of[i]].Before, out[of[i]].Lost = look(ctx, then.Pipeline, j)
		return ctx.Err()
	})
	if err == nil {
		err = pipeline.Each(ctx, is, runtime.NumCPU(), func(ctx context.Context, i int, j *pipeline.Job) error {
			out[i].After, out[i].Failed = look(ctx, p, j)
			return ctx.Err()
		})
	}
	return out, err
}

// look makes an image, and looks into it.
func look(ctx context.Context, p *pipeline.Pipeline, j *pipeline.Job) (*Image, error) {
	made, err := p.Build(ctx, j)
	if err != nil {
		return nil, err
	}
	all, err := p.Inventory(ctx, j)
	if err != nil {
		return nil, err
	}
	img := &Image{}
	for _, pl := range made.Report.Platforms {
		img.Size += pl.Size
	}
	for _, l := range all {
		img.Packages = sbom.Union(img.Packages, l.Document.Packages)
		img.subjects = append(img.subjects, audit.Subject{Name: j.Function.Name, Image: j.Refs[0].Text, Document: l.Document})
	}
	return img, nil
}

// Holes are what is known to be wrong with the images before and after.
type Holes struct {
	Looked  bool
	Failed  error // why nobody could look or, if somebody has, why not in the newest advisories
	Gone    []audit.Finding
	New     []audit.Finding
	Stay    []audit.Finding
	Missing []string // ecosystems that the database has nothing about
}

// Documents are what the images are made of, for whoever fetches advisories.
func (c *Change) Documents() (all []audit.Subject) {
	for _, img := range c.images() {
		all = append(all, img.subjects...)
	}
	return all
}

func (c *Change) images() (all []*Image) {
	for _, f := range c.Functions {
		for _, img := range []*Image{f.Before, f.After} {
			if img != nil {
				all = append(all, img)
			}
		}
	}
	return all
}

// Audit asks a question of the images before and of those after, whose subjects it names. Functions that have only one of
// them are left out.
func (c *Change) Audit(ctx context.Context, q audit.Question) error {
	var was, is []audit.Subject
	for _, f := range c.Functions {
		if f.Before != nil && f.After != nil {
			was, is = append(was, f.Before.subjects...), append(is, f.After.subjects...)
		}
	}
	q.Subjects = was
	before, err := audit.Look(ctx, q)
	if err != nil {
		return err
	}
	q.Subjects = is
	after, err := audit.Look(ctx, q)
	if err != nil {
		return err
	}
	h := &c.Holes
	h.Looked = true
	h.Missing = slices.Concat(before.Missing, after.Missing)
	slices.Sort(h.Missing)
	h.Missing = slices.Compact(h.Missing)
	h.Gone, _ = without(before.Findings, after.Findings)
	h.New, h.Stay = without(after.Findings, before.Findings)
	return nil
}

// without are the findings that others have not, and those that they have: a hole in a package is the same in any version. What
// does not count is left out.
func without(findings, others []audit.Finding) (only, both []audit.Finding) {
	same := func(f audit.Finding) func(audit.Finding) bool {
		return func(o audit.Finding) bool {
			return o.Suppressed == nil && o.ID == f.ID && o.Ecosystem == f.Ecosystem && o.Package == f.Package
		}
	}
	for _, f := range findings {
		switch {
		case f.Suppressed != nil:
		case slices.ContainsFunc(others, same(f)):
			both = append(both, f)
		default:
			only = append(only, f)
		}
	}
	return only, both
}
