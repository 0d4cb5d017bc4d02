package main

import (
	"context"
	"fmt"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"fnb/registry"
	"fnb/schema"
)

func newVerify(g *globals) *cobra.Command {
	o := &buildOptions{}
	rebuild := false
	cmd := &cobra.Command{
		Use:   "verify REF [FUNCTION]",
		Short: "check that an image is what its source makes",
		Long: `Verify --rebuild builds the function whose image REF is again, without any cache, and compares the result with the image in the registry. Equal digests prove that the image is this source and template, and nothing else: its digest is printed. Otherwise the first difference is named, down to the layer and the file, and the exit code is 1.

The function is the one of the stack file whose image REF is, or the only one whose image is in REF's repository, unless FUNCTION names it. Platforms, epoch, and the labels for source and revision are those of the image; what was given on the command line when it was built, such as --build-arg, has to be given again. No image store and no registry is changed.`,
		Example: "  # prove that what is deployed is what is in git\n  git checkout v1.2.0\n  fnb verify --rebuild ghcr.io/acme/hello:1.2.0",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usagef(cmd.CommandPath(), "it takes the image, and the function where that does not say which: fnb verify --rebuild REF [FUNCTION]")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !rebuild {
				return usagef(cmd.CommandPath(), "say what to verify: --rebuild")
			}
			o.parallel, o.noCache = 1, true
			if err := o.parse(cmd.CommandPath()); err != nil {
				return err
			}
			return g.runRebuild(cmd.Context(), o, args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&rebuild, "rebuild", false, "build the image again and compare")
	f.BoolVar(&o.frozen, "frozen", false, "fail unless fnb.lock covers everything")
	o.addInputFlags(f)
	return cmd
}

// A rebuildError is an image that its source does not make.
type rebuildError struct {
	ref      string
	first    *registry.Difference
	revision string // that the image names; "" where its inputs are equal
}

func (e *rebuildError) Error() string {
	s := e.ref + " is not what a rebuild makes: " + e.first.String()
	if e.revision != "" {
		s += "; it was made of other inputs"
	}
	return s
}

// A verified is the result of a rebuild.
type verified struct {
	Reference  string               `json:"reference"`
	Digest     string               `json:"digest"`
	Rebuilt    string               `json:"rebuilt"`
	Inputs     bool                 `json:"inputs_equal"`
	Difference *registry.Difference `json:"difference,omitempty"`
}

// runRebuild builds an image again, in a folder of its own, and compares.
func (g *globals) runRebuild(ctx context.Context, o *buildOptions, args []string) error {
	if g.offline {
		return usagef("fnb verify", "--offline uses no network, and the image is in a registry")
	}
	ref := args[0]
	p, fns, err := g.newPipeline(o, args[1:], schema.BuildKeys())
	if err != nil {
		return err
	}
	defer p.close()
	fn, err := functionOf(fns, ref)
	if err != nil {
		return err
	}
	p.apart = true // what others put into a cache mount does not come from this source
	if err := p.open(g, 1); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "fnb-verify-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears it too
	if p.images, err = registry.OpenImageStore(dir); err != nil {
		return err
	}
	was, err := p.registry.Pull(ctx, ref, p.images, schema.Platform{})
	if err != nil {
		return err
	}
	out := verified{Reference: ref, Digest: was.Digest.String()}
	labels, err := p.asBuilt(ctx, was)
	if err != nil {
		return err
	}
	j := &job{fn: fn, refs: []string{registry.Repository(ref) + ":fnb-rebuild"}, report: &schema.FunctionReport{Name: fn.Name}}
	is, input, err := p.rebuild(ctx, j)
	if err != nil {
		return &functionError{name: fn.Name, doing: j.doing, err: err}
	}
	p.close()
	out.Rebuilt, out.Inputs = is.Digest.String(), labels[schema.InputLabel] == input
	if out.Difference, err = p.images.Compare(ctx, was, is); err != nil {
		return err
	}
	return g.printVerified(out, labels[labelRevision])
}

// functionOf is the function whose image ref is: the only one that was named, the one
// with that reference, or the only one in ref's repository.
func functionOf(fns []schema.Function, ref string) (schema.Function, error) {
	if err := registry.CheckReference(ref); err != nil {
		return schema.Function{}, usagef("fnb verify", "%w", err)
	}
	if len(fns) == 1 {
		return fns[0], nil
	}
	var same, near []schema.Function
	for _, fn := range fns {
		if registry.Repository(fn.Image) != registry.Repository(ref) {
			continue
		}
		near = append(near, fn)
		if registry.Same(fn.Image, ref) {
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
		return schema.Function{}, hint(&foreignImageError{registry.Repository(ref)}, say)
	}
	return schema.Function{}, hint(usagef("fnb verify", "%d functions of the stack have their images in %s", len(near), registry.Repository(ref)), say)
}

// A foreignImageError is an image that no function of the stack has.
type foreignImageError struct{ repository string }

func (e *foreignImageError) Error() string {
	return "no function of the stack has its image in " + e.repository
}

// asBuilt takes from an image what is not in the source: its platforms, its time,
// and the labels that say where the source came from. It returns all labels.
func (p *pipeline) asBuilt(ctx context.Context, desc v1.Descriptor) (map[string]string, error) {
	list, err := p.images.Platforms(ctx, desc)
	if err != nil {
		return nil, err
	}
	var labels map[string]string
	for _, d := range list {
		if d.Platform != nil {
			p.opts.forced = append(p.opts.forced, schema.Platform{OS: d.Platform.OS, Architecture: d.Platform.Architecture, Variant: d.Platform.Variant})
		}
		if labels != nil {
			continue
		}
		img, err := p.images.Image(d)
		if err != nil {
			return nil, err
		}
		config, err := img.ConfigFile()
		if err != nil {
			return nil, err
		}
		labels = config.Config.Labels
	}
	p.source = map[string]string{}
	for _, name := range []string{labelRevision, labelSource} {
		if v, ok := labels[name]; ok {
			p.source[name] = v
		}
	}
	if created, err := time.Parse(time.RFC3339, labels["org.opencontainers.image.created"]); err == nil {
		p.epoch = new(created.Unix())
	}
	return labels, nil
}

const (
	labelRevision = "org.opencontainers.image.revision"
	labelSource   = "org.opencontainers.image.source"
)

// rebuild makes a job's image, and returns it with its input digest.
func (p *pipeline) rebuild(ctx context.Context, j *job) (v1.Descriptor, string, error) {
	tmpl, err := p.resolve(ctx, j)
	if err != nil {
		return v1.Descriptor{}, "", err
	}
	bc, err := p.pack(ctx, j, tmpl)
	if err != nil {
		return v1.Descriptor{}, "", err
	}
	pl, err := p.plan(ctx, j, tmpl, bc)
	if err != nil {
		return v1.Descriptor{}, "", err
	}
	if _, err := p.solve(ctx, j, pl); err != nil {
		return v1.Descriptor{}, "", err
	}
	is, err := p.images.Resolve(j.refs[0])
	return is, pl.digest, err
}

func (g *globals) printVerified(v verified, revision string) error {
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
		revision = ""
	}
	return &rebuildError{ref: v.Reference, first: v.Difference, revision: revision}
}
