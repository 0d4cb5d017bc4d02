package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fnb/pipeline"
	"fnb/schema"
)

// buildOptions are the flags of fnb build.
type buildOptions struct {
	choice
	alone       lone
	inputs      inputFlags
	tags        tagFlags
	cache       cacheFlags
	destination destinationFlags
	parallel    int
	noCache     bool
	pull        bool
	test        bool
	frozen      bool
	reportFile  string
	why         bool
	shell       bool
	sign        signFlags
}

func newBuild(g *globals) *cobra.Command {
	o := &buildOptions{}
	cmd := &cobra.Command{
		Use:   "build [FUNCTION…]",
		Short: "build functions into images",
		Long: `Build makes the images of the stack's functions, of those that are named, or of those that match --filter or --regex. It resolves each function's template, packages template and handler into a build context, has BuildKit solve it and layers in the watchdog.

An image goes to the local image store, from where fnb push sends it to a registry, unless --push, --load or --output says otherwise. For each function a line is printed: its name, the reference and the digest.

Without a stack file one function is built that --lang, --handler and --image describe.

Where there is an image of equal inputs already, nothing is built, and no builder is started. The image store is asked, and with --push the registry, for the reference and then for the tag that --push writes beside it, fnb-in- and the digest of the inputs. Inputs are the files of handler and template with their modes, build args and options, base images by digest, the watchdog, platforms, labels and what else decides an image. Values of secrets and the commit are none, so that an image that is found keeps the revision it was built from. --why names the inputs that changed since a function's last build. --no-cache builds whatever there is.

With --shell-on-failure fnb opens a shell in this terminal at a step that fails. It has the files as the step left them, and the step's mounts, secrets, environment, user, folder and network. When the shell ends, the build fails as it would have. If several functions fail, their shells come one after another.

To each image that is pushed or kept its SBOM and its provenance are attached: what is in it, and how it was made. They are there before a tag names the image, whose digest stays what it is. --attest says which, or none. An image that is there already gets nothing. A registry that does not take it is a note, and with --attest or --sign an error.

With --sign the image that is pushed is signed, and so is what is attached to it. What this machine has had signed already costs no request.

The RUN steps of build stages that have no cache mounts get some for their toolchain, if the image's files stay the same; --context-only shows them.

Templates and base images that fnb.lock does not name yet are added to it; what it names is never changed, but for base images with --pull. With --frozen a missing or different entry is an error.

Several builders with commas between are a fleet, which shares the functions and their platforms. With --cache auto builders also share build cache, in the repository fnb-cache beside the functions' own; a cache that cannot be read or written fails no build.

Without --builder, FNB_BUILDER or BUILDKIT_HOST, fnb starts a builder of its own, which ends by itself when it is idle.`,
		Example:           "  # all functions of the stack file\n  fnb build\n\n  # one function, with its tests, for two platforms, straight to the registry\n  fnb build hello --test --platform linux/amd64,linux/arm64 --push\n\n  # signed, with its SBOM and its provenance\n  fnb build --push --sign release\n\n  # what changed, and why it was built\n  fnb build --push --why\n\n  # a shell at the step that fails\n  fnb build hello --shell-on-failure\n\n  # on two builders, with build cache that they share\n  fnb build --push --cache auto --builder-tlsdir ~/certs --builder tcp://one:1234,tcp://two:1234",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := o.settings(cmd.CommandPath())
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("parallel") {
				if choice, err := g.choice(); err == nil { // who needs a builder says what is wrong
					s.Parallel = choice.Parallelism(s.Parallel)
				}
			}
			g.alone = o.alone
			want := wanted{settings: s, insecure: o.inputs.insecure, choice: o.choice, names: args, keys: schema.BuildKeys()}
			if err := g.openOnFailure(&want, o.shell); err != nil {
				return err
			}
			unsign, err := g.signWith(cmd.Context(), &want, o.sign)
			if err != nil {
				return err
			}
			defer unsign()
			if since := o.destination.changedSince; since != "" {
				return g.runChanged(cmd.Context(), want, since)
			}
			return g.runBuild(cmd.Context(), want, o.reportFile)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *buildOptions) addFlags(f *pflag.FlagSet) {
	o.inputs.addFlags(f)
	o.choice.addFlags(f, "build")
	o.alone.addFlags(f)
	o.destination.addFlags(f)
	o.sign.addFlags(f)
	o.cache.addFlags(f)
	f.StringSliceVar(&o.inputs.platforms, "platform", nil, "build for `PLATFORMS`, such as linux/amd64,linux/arm64")
	f.StringArrayVar(&o.tags.tags, "tag", nil, "tag the image by `RULE`: latest, sha, branch, describe, digest or a tag (repeatable)")
	f.StringArrayVar(&o.tags.extra, "extra-tag", nil, "tag the image as the stack file says, and with `RULE` (repeatable)")
	f.BoolVar(&o.tags.noInputTag, "no-input-tag", false, "with --push, do not tag the image with its input digest too")
	f.IntVar(&o.parallel, "parallel", runtime.NumCPU(), "build `N` functions at a time (default one a processor, four a builder of a fleet)")
	f.BoolVar(&o.noCache, "no-cache", false, "run every step again")
	f.BoolVar(&o.pull, "pull", false, "ask the registries for newer base images, and move their pins")
	f.BoolVar(&o.test, "test", false, "also run the tests of the handler; a failing test fails the build")
	f.BoolVar(&o.frozen, "frozen", false, "fail unless fnb.lock covers everything")
	f.StringVar(&o.reportFile, "report", "", "write the build report to `FILE`")
	f.BoolVar(&o.shell, shellOnFailureFlag, false, "open a shell at a step that fails, with all that the step had")
	f.BoolVar(&o.why, "why", false, "say which inputs changed since a function's last build")
}

// settings checks the flags.
func (o *buildOptions) settings(command string) (pipeline.Settings, error) {
	s := pipeline.Settings{Parallel: o.parallel, NoCache: o.noCache, Test: o.test, Explain: o.why, Pinning: pipeline.Pinning{Frozen: o.frozen, Pull: o.pull}}
	bad := &complaints{command: command}
	o.inputs.fill(&s, bad)
	o.tags.fill(&s, bad)
	o.cache.fill(&s, bad)
	o.destination.fill(&s, bad)
	o.sign.fill(&s, bad)
	if o.frozen && o.pull {
		bad.add("--frozen and --pull cannot be used together: one keeps to the lock, the other moves it")
	}
	if o.parallel < 1 {
		bad.add("--parallel %d: it must be at least 1", o.parallel)
	}
	own, err := absolute(o.alone.paths())
	if err != nil {
		bad.add("--handler: %w", err)
	}
	s.Allow = append(s.Allow, own...)
	return s, errors.Join(bad.errs...)
}

// runBuild builds the functions that were named.
func (g *globals) runBuild(ctx context.Context, want wanted, reportFile string) error {
	start := time.Now()
	if err := g.withoutNetwork(want.settings); err != nil {
		return err
	}
	made, err := g.makeImages(ctx, want)
	if made == nil {
		return err
	}
	return errors.Join(err, g.finish(made, reportFile, time.Since(start)))
}
