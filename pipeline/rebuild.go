package pipeline

import (
	"context"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/schema"
	"fnb/schema/words"
)

// A RebuildResult is what came of making an image again.
type RebuildResult struct {
	Reference  string             `json:"reference"`
	Digest     string             `json:"digest"`
	Rebuilt    string             `json:"rebuilt"`
	Inputs     bool               `json:"inputs_equal"`
	Difference *images.Difference `json:"difference,omitempty"` // the first; nil where there is none

	Revision string `json:"-"` // of the source, as the image's labels have it
}

// Rebuild pulls the image of a function and makes it again, without any cache, into the
// pipeline's image store, which has to be its alone. Platforms, time and the labels for
// source and revision are those of the image. Settings have to have NoCache; nothing else
// may be under way in the pipeline.
func (p *Pipeline) Rebuild(ctx context.Context, fn schema.Function, ref string) (RebuildResult, error) {
	p.settings.Inputs.Apart = true // what others put into a cache mount does not come from this source
	out := RebuildResult{Reference: ref}
	image, err := ParseReference(ref)
	if err != nil {
		return out, err
	}
	was, err := p.Registry.Pull(ctx, ref, p.Images, schema.Platform{})
	if err != nil {
		return out, err
	}
	labels, err := p.takeFrom(ctx, was)
	if err != nil {
		return out, err
	}
	j := &Job{Function: fn, Refs: []Reference{image.WithTag("fnb-rebuild")}}
	is, input, err := p.again(ctx, j)
	if err != nil {
		return out, j.Failed(err)
	}
	out.Digest, out.Rebuilt, out.Revision = was.Digest.String(), is.Digest.String(), labels[words.LabelRevision]
	out.Inputs = labels[words.LabelInput] == input
	out.Difference, err = p.Images.Compare(ctx, was, is)
	return out, err
}

// takeFrom takes from an image what is not in the source: its platforms, its time,
// and the labels that say where the source came from. It returns all labels.
func (p *Pipeline) takeFrom(ctx context.Context, desc v1.Descriptor) (map[string]string, error) {
	list, err := p.Images.Platforms(ctx, desc)
	if err != nil {
		return nil, err
	}
	in := &p.settings.Inputs
	var labels map[string]string
	for _, d := range list {
		if d.Platform != nil {
			in.Platforms = append(in.Platforms, images.PlatformOf(d))
		}
		if labels != nil {
			continue
		}
		img, err := p.Images.Image(d)
		if err != nil {
			return nil, err
		}
		config, err := img.ConfigFile()
		if err != nil {
			return nil, err
		}
		labels = config.Config.Labels
	}
	in.Source = map[string]string{}
	for _, name := range []string{words.LabelRevision, words.LabelSource} {
		if v, ok := labels[name]; ok {
			in.Source[name] = v
		}
	}
	if created, err := time.Parse(time.RFC3339, labels[words.LabelCreated]); err == nil {
		in.Epoch = new(created.Unix())
	}
	return labels, nil
}

// again makes a job's image, and returns it with its input digest.
func (p *Pipeline) again(ctx context.Context, j *Job) (v1.Descriptor, string, error) {
	pl, err := p.Prepare(ctx, j)
	if err != nil {
		return v1.Descriptor{}, "", err
	}
	if _, err := p.solve(ctx, pl, lookup{}); err != nil {
		return v1.Descriptor{}, "", err
	}
	is, err := p.Images.Resolve(j.Refs[0].Text)
	return is, pl.Digest, err
}
