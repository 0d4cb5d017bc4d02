package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"

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
	machine   deploy.Machine
}

func newGenerate(g *globals) *cobra.Command {
	o := &generateOptions{}
	names := deploy.Names(written(o.machine))
	cmd := &cobra.Command{
		Use:   "generate " + strings.Join(names, "|") + " [FUNCTION…]",
		Short: "write manifests that deploy functions by digest",
		Long: `Generate prints what runs the stack's functions, or those that are named. OpenFaaS gets a Function, plain Kubernetes a Deployment and a Service, and Knative, Cloud Run and Code Engine a Service. Lambda gets an AWS SAM template, the Serverless Framework a serverless.yml, and Compose a Compose file. Firecracker gets the JSON of one function's machine, QEMU a command; both take the root file system NAME.ext4 that "fnb build --output rootfs=NAME.ext4" makes. The others name their image by the digest that the registry has for it; an image that is not there is an error.

Environment, secrets, labels, annotations, limits, requests, constraints and readonly_root_filesystem are the stack's. Secrets are named, never read: they must be in the cluster. What the platform would refuse, such as more memory than it has, is an error; a key that the platform does not take as it stands is a note.

The pods have time for the watchdog's drain, so that a rollout loses no request, and satisfy Pod Security "restricted" where the image's user is a number. The labels com.openfaas.scale.* become replicas, an autoscaler, or Knative's annotations; constraints become a selector of nodes.

With --offline the digests are those of the local image store.`,
		Example:           "  # deploy what was pushed\n  fnb generate kubernetes --namespace prod | kubectl apply -f -\n\n  # run all of them on this machine\n  fnb generate compose | docker compose -f - up -d\n\n  # deploy to AWS Lambda\n  fnb generate lambda > template.yaml && sam deploy --guided\n\n  # run one as a virtual machine\n  fnb build hello --output rootfs=hello.ext4\n  fnb generate firecracker hello > vm.json && firecracker --no-api --config-file vm.json",
		Args:              between(1, math.MaxInt),
		ValidArgsFunction: g.completePlatforms,
		RunE: func(cmd *cobra.Command, args []string) error {
			platform, ok := deploy.Find(written(o.machine), args[0])
			if !ok {
				return usagef("fnb generate", "%q is not a platform that fnb writes for: it must be one of %s", args[0], strings.Join(names, ", "))
			}
			if o.machine != (deploy.Machine{}) && !platform.Disk {
				return usagef("fnb generate", "--overlay and --vsock are for virtual machines: %s", strings.Join(deploy.Names(deploy.Machines(o.machine)), ", "))
			}
			return g.runGenerate(cmd.Context(), o, platform, args[1:])
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.namespace, "namespace", "n", "", "deploy to the namespace `NAME` (default the stack's, then the platform's)")
	f.BoolVar(&o.machine.Overlay, "overlay", false, "keep in memory what a virtual machine writes, and its disk as it is")
	f.BoolVar(&o.machine.VSock, "vsock", false, "reach a virtual machine by vsock, without a network")
	addOutsideFlag(f, &o.inputs.outside)
	o.choice.addFlags(f, "write")
	f.StringArrayVar(&o.tags.tags, "tag", nil, "take the image of the tag that `RULE` gives, as in fnb build")
	addInsecureFlag(f, &o.inputs.insecure)
	return cmd
}

// written are the platforms that fnb writes for.
func written(m deploy.Machine) []deploy.Platform {
	return append(deploy.Clusters(), deploy.Machines(m)...)
}

// completePlatforms completes a platform, then functions.
func (g *globals) completePlatforms(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return deploy.Names(written(deploy.Machine{})), cobra.ShellCompDirectiveNoFileComp
	}
	return g.completeFunctions(cmd, args, word)
}

func (g *globals) runGenerate(ctx context.Context, o *generateOptions, platform deploy.Platform, names []string) error {
	s, err := o.inputs.settings("fnb generate")
	if err != nil {
		return err
	}
	s.Tags = o.tags.tags
	p, fns, err := g.newPipeline(wanted{settings: s, insecure: o.inputs.insecure, choice: o.choice, names: names, keys: schema.DeployKeys()})
	if err != nil {
		return err
	}
	if platform.Disk && len(fns) > 1 {
		return usagef("fnb generate", "%s runs one function as a machine, and the stack has %d: name one", platform.Title, len(fns))
	}
	if g.offline && !platform.Disk {
		if p.Images, err = openImages(p.Stack.File); err != nil {
			return err
		}
	}
	var parts []deploy.Part
	var errs []error
	var mu sync.Mutex
	for _, fn := range fns {
		part, err := p.manifests(ctx, fn, platform, o.namespace)
		if err != nil {
			errs = append(errs, &pipeline.FunctionError{Name: fn.Name, Doing: "writing its manifests", Err: err})
		}
		for _, note := range part.Notes {
			g.say(&mu, fn.Name, "note: %s", note)
		}
		parts = append(parts, part)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	out, err := platform.Join(filepath.Base(filepath.Dir(p.Stack.File)), parts...)
	if err != nil {
		return err
	}
	_, err = g.out.Write(out)
	return err
}

// manifests is what one function adds to what the platform reads.
func (p *shownPipeline) manifests(ctx context.Context, fn schema.Function, platform deploy.Platform, namespace string) (deploy.Part, error) {
	from := p.deployed
	if platform.Disk {
		from = p.ofStack
	}
	f, err := from(ctx, fn, namespace, "")
	if err != nil {
		return deploy.Part{}, err
	}
	return platform.Write(f)
}

// pinned adds its digest to a reference that has none, and says what its image says of itself: as the registry
// has it, or with an image store that store. The policy says whether it may be deployed.
func (p *shownPipeline) pinned(ctx context.Context, ref string) (string, *deploy.Built, error) {
	bare, _, _ := strings.Cut(ref, "@")
	if p.Images == nil {
		d, err := p.Registry.Describe(ctx, ref)
		if err == nil {
			err = mayRun(ctx, p.Policy, p.asked(), bare+"@"+d.Digest)
		}
		return bare + "@" + d.Digest, &deploy.Built{User: d.Config.User, Environment: d.Config.Env, Platforms: d.Platforms}, err
	}
	desc, err := p.Images.Resolve(ref)
	if err == nil {
		err = mayRun(ctx, p.Policy, p.asked(), fmt.Sprintf("%s@%s", bare, desc.Digest))
	}
	if err != nil {
		return "", nil, err
	}
	d, err := p.Images.Describe(ctx, desc)
	return fmt.Sprintf("%s@%s", bare, desc.Digest), &deploy.Built{User: d.Config.User, Environment: d.Config.Env, Platforms: d.Platforms}, err
}
