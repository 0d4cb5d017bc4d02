package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"fnb/pipeline"
	"fnb/schema"
)

// upOptions are the flags of fnb up.
type upOptions struct {
	build      buildOptions
	deploy     deployOptions
	skipDeploy bool
}

func newUp(g *globals) *cobra.Command {
	o := &upOptions{}
	cmd := &cobra.Command{
		Use:   "up [FUNCTION…]",
		Short: "build, push and deploy functions",
		Long: `Up makes the images of functions and pushes them, as fnb build --push does, and then has a platform run them, as fnb deploy does. Each function is deployed by the digest of the image that was just pushed. If a function was not built or not pushed, none is deployed.

With --skip-deploy it ends after the push.`,
		Example:           "  # to the OpenFaaS at http://127.0.0.1:8080\n  fnb up\n\n  # with the tests of the handlers, to a cluster\n  fnb up --test --to kubernetes --namespace staging",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := o.build.settings(cmd.CommandPath())
			if err != nil {
				return err
			}
			if !o.skipDeploy {
				if err := g.checkDeploy(cmd, &o.deploy); err != nil {
					return err
				}
			}
			if !cmd.Flags().Changed("parallel") {
				if choice, err := g.choice(); err == nil { // who needs a builder says what is wrong
					s.Parallel = choice.Parallelism(s.Parallel)
				}
			}
			s.Destination = pipeline.Destination{Kind: pipeline.ToRegistry, Attest: attested()}
			want := wanted{settings: s, insecure: o.build.inputs.insecure, choice: o.build.choice, names: args, keys: append(schema.BuildKeys(), schema.DeployKeys()...)}
			return g.runUp(cmd.Context(), o, want)
		},
	}
	f := cmd.Flags()
	o.build.inputs.addFlags(f)
	o.build.choice.addFlags(f, "deploy")
	o.build.cache.addFlags(f)
	f.StringSliceVar(&o.build.inputs.platforms, "platform", nil, "build for `PLATFORMS`, such as linux/amd64,linux/arm64")
	f.StringArrayVar(&o.build.tags.tags, "tag", nil, "tag the image by `RULE`, as in fnb build (repeatable)")
	f.BoolVar(&o.build.tags.noInputTag, "no-input-tag", false, "do not tag the image with its input digest too")
	f.IntVar(&o.build.parallel, "parallel", runtime.NumCPU(), "build `N` functions at a time (default one a processor, four a builder of a fleet)")
	f.BoolVar(&o.build.noCache, "no-cache", false, "run every step again")
	f.BoolVar(&o.build.pull, "pull", false, "ask the registries for newer base images, and move their pins")
	f.BoolVar(&o.build.test, "test", false, "also run the tests of the handler; a failing test fails the build")
	f.BoolVar(&o.build.frozen, "frozen", false, "fail unless fnb.lock covers everything")
	f.StringVar(&o.build.reportFile, "report", "", "write the build report to `FILE`")
	f.BoolVar(&o.build.why, "why", false, "say which inputs changed since a function's last build")
	o.deploy.addFlags(f)
	f.BoolVar(&o.skipDeploy, "skip-deploy", false, "build and push only")
	return cmd
}

func (g *globals) runUp(ctx context.Context, o *upOptions, want wanted) error {
	start := time.Now()
	if err := g.withoutNetwork(want.settings); err != nil {
		return err
	}
	made, err := g.makeImages(ctx, want)
	shown := g.finish
	if g.json && !o.skipDeploy { // which prints one document, of what was deployed
		shown = g.finishUnseen
	}
	if err := errors.Join(err, shown(made, o.build.reportFile, time.Since(start))); err != nil || o.skipDeploy {
		return err
	}
	images := map[string]string{}
	for _, m := range pipeline.Functions(made) {
		if r := m.Report; r.Reference != "" && r.Digest != "" {
			images[r.Name] = r.Reference + "@" + r.Digest
		}
	}
	return g.runDeploy(ctx, &o.deploy, want, images)
}
