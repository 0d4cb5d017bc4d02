package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"fnb/builder"
	"fnb/builder/target"
	"fnb/pipeline/machine"
	"fnb/schema/words"
)

// An Output is a kind of file or folder that images can be written to.
type Output struct {
	Kind        DestinationKind // the word for it
	Operand     string          // what its path names
	OnePlatform bool            // it takes the image of one platform

	// ask asks the builder for it. It returns what receives the image, nil where that is
	// the builder's client itself.
	ask func(ctx context.Context, path string, out *builder.Output) (*target.Fresh, error)
}

// Outputs are all kinds: a further one is a row here, and in package target what receives
// it.
func Outputs() []Output {
	return []Output{
		{Kind: ToOCI, Operand: "FILE", ask: func(_ context.Context, path string, out *builder.Output) (*target.Fresh, error) {
			t, err := target.New(func() (target.Target, error) { return target.File(path) })
			out.OCI = t.Open
			return t, err
		}},
		{Kind: ToArchive, Operand: "FILE", OnePlatform: true, ask: func(_ context.Context, path string, out *builder.Output) (*target.Fresh, error) {
			t, err := target.New(func() (target.Target, error) { return target.File(path) })
			out.Docker = t.Open
			return t, err
		}},
		{Kind: ToFolder, Operand: "DIR", ask: func(_ context.Context, path string, out *builder.Output) (*target.Fresh, error) {
			out.Local = path
			return target.New(func() (target.Target, error) { return target.Folder(path) })
		}},
		{Kind: toRootFS, Operand: "FILE", OnePlatform: true, ask: func(ctx context.Context, path string, out *builder.Output) (*target.Fresh, error) {
			t, err := target.New(func() (target.Target, error) {
				return target.Made(path, func(image, to *os.File) error { return machine.Write(ctx, image, to) })
			})
			out.Docker = t.Open
			return t, err
		}},
	}
}

// toEngine has a Docker Engine receive the image.
func toEngine(ctx context.Context, _ string, out *builder.Output) (*target.Fresh, error) {
	t, err := target.New(func() (target.Target, error) { return target.Engine(ctx) })
	out.Docker = t.Open
	return t, err
}

// output says where a job's image goes. The target, where there is one, has to
// be committed once the image is made.
func (p *Pipeline) output(ctx context.Context, j *Job) (builder.Output, *target.Fresh, error) {
	d := p.settings.Destination
	switch d.Kind {
	case ToStore:
		return builder.Output{Store: p.Images.Dir()}, nil, nil
	case ToRegistry:
		return builder.Output{Push: textsOf(j.Refs), PlainHTTP: p.Registry.PlainHTTP(j.Refs[0].Text), ByDigest: p.tagsLast()}, nil, nil
	}
	if d.Kind == ToEngine && p.Builder.InEngine() {
		return builder.Output{Engine: true, Names: textsOf(j.Refs)}, nil, nil
	}
	ask := toEngine
	for _, o := range Outputs() {
		if o.Kind == d.Kind {
			ask = o.ask
		}
	}
	out := builder.Output{Names: textsOf(j.Refs)}
	t, err := ask(ctx, filepath.Clean(perFunction(d.Path, j)), &out)
	return out, t, err
}

// deliverable refuses what an output does not take, before anything is built. A Docker Engine that is not the builder gets an archive, which has one platform.
func (d Destination) deliverable(req *builder.Request, inEngine bool) error {
	one := ""
	if d.Kind == ToEngine && !inEngine {
		one = "--load into an engine that is not the builder"
	}
	for _, o := range Outputs() {
		if o.Kind == d.Kind && o.OnePlatform {
			one = string(d.Kind) + "="
		}
	}
	if one != "" && len(req.Platforms) > 1 {
		var names []string
		for _, p := range req.Platforms {
			names = append(names, p.String())
		}
		return &target.OnePlatformError{Output: one, Platforms: names}
	}
	if d.Kind == toRootFS {
		return machine.Check(req.Config.Labels[words.LabelWatchdog], req.Platforms)
	}
	return nil
}

// perFunction gives each function a file of its own: "%s" in the path is
// replaced with its name.
func perFunction(path string, j *Job) string {
	return strings.ReplaceAll(path, "%s", j.Function.Name)
}

// checkOutput refuses an output that several functions would write over one
// another.
func (p *Pipeline) checkOutput(jobs []*Job) error {
	if len(jobs) < 2 {
		return nil
	}
	for _, c := range p.settings.Cache.Exports {
		key := c.Key()
		if path := c.Attrs[key]; !strings.Contains(path, "%s") {
			return &OverwriteError{Functions: len(jobs), Path: path, Cache: c, Key: key}
		}
	}
	if d := p.settings.Destination; d.Path != "" && d.Kind != ToContexts && !strings.Contains(d.Path, "%s") {
		return &OverwriteError{Functions: len(jobs), Path: d.Path}
	}
	return nil
}
