package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"fnb/pipeline"
	"fnb/schema"
	"fnb/schema/deploy"
)

// generateOptions are the flags of fnb generate.
type generateOptions struct {
	choice
	inputs    inputFlags
	tags      tagFlags
	namespace string
}

func newGenerate(g *globals) *cobra.Command {
	o := &generateOptions{}
	names := deploy.Names(deploy.Clusters())
	cmd := &cobra.Command{
		Use:   "generate " + strings.Join(names, "|") + " [FUNCTION…]",
		Short: "write manifests that deploy functions by digest",
		Long: `Generate prints the manifests that run the stack's functions, or those that are named: a Function for OpenFaaS, a Service for Knative, a Deployment and a Service for plain Kubernetes. Each names its image by the digest that the registry has for it; an image that is not there is an error.

Environment, secrets, labels, annotations, limits, requests, constraints and readonly_root_filesystem are the stack's. Secrets are named, never read: they must be in the cluster. What Kubernetes would refuse is an error that names it.

With --offline the digests are those of the local image store.`,
		Example:           "  # deploy what was pushed\n  fnb generate kubernetes --namespace prod | kubectl apply -f -",
		Args:              between(1, math.MaxInt),
		ValidArgsFunction: g.completePlatforms,
		RunE: func(cmd *cobra.Command, args []string) error {
			platform, ok := deploy.Find(deploy.Clusters(), args[0])
			if !ok {
				return usagef("fnb generate", "%q is not a platform that fnb writes for: it must be one of %s", args[0], strings.Join(names, ", "))
			}
			return g.runGenerate(cmd.Context(), o, platform.Write, args[1:])
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.namespace, "namespace", "n", "", "deploy to the namespace `NAME` (default the stack's, then the platform's)")
	addOutsideFlag(f, &o.inputs.outside)
	o.choice.addFlags(f, "write")
	f.StringArrayVar(&o.tags.tags, "tag", nil, "take the image of the tag that `RULE` gives, as in fnb build")
	addInsecureFlag(f, &o.inputs.insecure)
	return cmd
}

// completePlatforms completes a platform, then functions.
func (g *globals) completePlatforms(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return deploy.Names(deploy.Clusters()), cobra.ShellCompDirectiveNoFileComp
	}
	return g.completeFunctions(cmd, args, word)
}

func (g *globals) runGenerate(ctx context.Context, o *generateOptions, write deploy.Writer, names []string) error {
	s, err := o.inputs.settings("fnb generate")
	if err != nil {
		return err
	}
	s.Tags = o.tags.tags
	p, fns, err := g.newPipeline(wanted{settings: s, insecure: o.inputs.insecure, choice: o.choice, names: names, keys: schema.DeployKeys()})
	if err != nil {
		return err
	}
	if g.offline {
		if p.Images, err = openImages(p.Stack.File); err != nil {
			return err
		}
	}
	var out []byte
	var errs []error
	for _, fn := range fns {
		raw, err := p.manifests(ctx, fn, write, o.namespace)
		if err != nil {
			errs = append(errs, &pipeline.FunctionError{Name: fn.Name, Doing: "writing its manifests", Err: err})
		}
		out = append(out, raw...)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err = g.out.Write(out)
	return err
}

// manifests writes one function's.
func (p *shownPipeline) manifests(ctx context.Context, fn schema.Function, write deploy.Writer, namespace string) ([]byte, error) {
	if err := p.CheckPaths(fn); err != nil {
		return nil, err
	}
	env, err := fn.ReadEnvironment(p.Reach)
	if err != nil {
		return nil, err
	}
	refs, err := p.References(ctx, fn)
	if err != nil {
		return nil, err
	}
	image, err := p.pinned(ctx, refs[0].Text)
	if err != nil {
		return nil, err
	}
	if namespace == "" {
		namespace = fn.Namespace
	}
	return write(deploy.Function{
		Name: fn.Name, Namespace: namespace, Image: image, FProcess: fn.FProcess,
		Environment: env, Secrets: fn.Secrets, Labels: fn.Labels, Annotations: fn.Annotations,
		Constraints: fn.Constraints, Limits: fn.Limits, Requests: fn.Requests, ReadOnlyRoot: fn.ReadOnlyRootFilesystem,
	})
}

// pinned adds its digest to a reference: the registry's, or with an image store
// that store's.
func (p *shownPipeline) pinned(ctx context.Context, ref string) (string, error) {
	if p.Images != nil {
		desc, err := p.Images.Resolve(ref)
		return fmt.Sprintf("%s@%s", ref, desc.Digest), err
	}
	desc, err := p.Registry.Head(ctx, ref)
	return fmt.Sprintf("%s@%s", ref, desc.Digest), err
}
