package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"fnb/schema"
	"fnb/schema/deploy"
)

func newGenerate(g *globals) *cobra.Command {
	o := &buildOptions{}
	var namespace string
	cmd := &cobra.Command{
		Use:   "generate openfaas|knative|kubernetes [FUNCTION…]",
		Short: "write manifests that deploy functions by digest",
		Long: `Generate prints the manifests that run the stack's functions, or those that are named: a Function for OpenFaaS, a Service for Knative, a Deployment and a Service for plain Kubernetes. Each names its image by the digest that the registry has for it; an image that is not there is an error.

Environment, secrets, labels, annotations, limits, requests, constraints and readonly_root_filesystem are the stack's. Secrets are named, never read: they have to be in the cluster. What Kubernetes would refuse is an error that names it.

With --offline the digests are those of the local image store.`,
		Example:           "  # deploy what was pushed\n  fnb generate kubernetes --namespace prod | kubectl apply -f -",
		Args:              between(1, math.MaxInt),
		ValidArgsFunction: g.completePlatforms,
		RunE: func(cmd *cobra.Command, args []string) error {
			write, ok := deploy.Platforms()[args[0]]
			if !ok {
				return usagef("fnb generate", "%q is no platform: it is %s", args[0], "openfaas, knative or kubernetes")
			}
			return g.runGenerate(cmd.Context(), o, write, namespace, args[1:])
		},
	}
	f := cmd.Flags()
	f.StringVarP(&namespace, "namespace", "n", "", "deploy to the namespace `NAME` (default the stack's, then the platform's)")
	addOutsideFlag(f, &o.outside)
	o.choice.addFlags(f, "write")
	f.StringArrayVar(&o.tags, "tag", nil, "take the image of the tag that `RULE` gives, as in fnb build")
	f.StringSliceVar(&o.insecure, "insecure-registry", nil, "speak plain HTTP to the registry `HOST` (repeatable)")
	return cmd
}

// completePlatforms completes a platform, then functions.
func (g *globals) completePlatforms(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return slices.Sorted(maps.Keys(deploy.Platforms())), cobra.ShellCompDirectiveNoFileComp
	}
	return g.completeFunctions(cmd, args, word)
}

func (g *globals) runGenerate(ctx context.Context, o *buildOptions, write deploy.Writer, namespace string, names []string) error {
	p, fns, err := g.newPipeline(o, names, schema.DeployKeys())
	if err != nil {
		return err
	}
	if g.offline {
		if p.images, err = openImages(); err != nil {
			return err
		}
	}
	var out []byte
	var errs []error
	for _, fn := range fns {
		raw, err := p.manifests(ctx, fn, write, namespace)
		if err != nil {
			errs = append(errs, &functionError{name: fn.Name, doing: "writing its manifests", err: err})
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
func (p *pipeline) manifests(ctx context.Context, fn schema.Function, write deploy.Writer, namespace string) ([]byte, error) {
	if err := p.checkPaths(fn); err != nil {
		return nil, err
	}
	env, err := fn.ReadEnvironment(p.reach)
	if err != nil {
		return nil, err
	}
	refs, err := p.references(ctx, fn)
	if err != nil {
		return nil, err
	}
	image, err := p.pinned(ctx, refs[0])
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
func (p *pipeline) pinned(ctx context.Context, ref string) (string, error) {
	if p.images != nil {
		desc, err := p.images.Resolve(ref)
		return fmt.Sprintf("%s@%s", ref, desc.Digest), err
	}
	desc, err := p.registry.Head(ctx, ref)
	return fmt.Sprintf("%s@%s", ref, desc.Digest), err
}
