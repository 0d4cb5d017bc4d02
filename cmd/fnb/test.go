package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"fnb/builder/probe"
	"fnb/internal/plain"
	"fnb/pipeline"
)

type testOptions struct {
	containerFlags
	choice
	junit string
	skip  []string
	as    []string

	platforms []probe.Platform // of as
}

// ofStack is what fnb test tests.
const ofStack = "functions"

// A testError says that checks failed; what they are has been printed.
type testError struct {
	what     string
	failed   []string
	problems []error // each with its place
	unasked  bool    // a request that failed is not one of the stack's
}

func (e *testError) Error() string {
	return fmt.Sprintf("testing %s: %s failed: %s", e.what, plain.Count(len(e.failed), "check", "checks"), strings.Join(e.failed, ", "))
}

func newTest(g *globals) *cobra.Command {
	o := &testOptions{}
	cmd := &cobra.Command{
		Use:   "test [FUNCTION…]",
		Short: "run the tests of functions, and the contract test of their images",
		Long: `Test builds functions, runs the handlers' own tests with the test target of their templates, and starts their images in the builder. It checks what a platform expects of each: health, readiness, an answer to a request, and a user that is not root. A line of 70 KB must reach the log whole. After SIGTERM the request under way must be answered, and the process must end.

The request is the one that the template's manifest names, and its answer must have a status under 500. If the handler wants another request, test.request of the function in the stack file says which. The answer must then have the status that it names, or one under 400, and contain what it names.

If function.yml beside the handler has examples, they are sent too, and the answers must be as it says. The function is given what its try says they need, unless --env or --secret says otherwise. The services that it names with run.services run beside it.

--skip leaves checks out, and so does test.skip of a function in the stack file; test.target names the stage that runs its tests, if the template names none. What an image's own watchdog cannot do is a warning.

With --as the contract test is made under the rules of platforms, such as AWS Lambda's events, the port in PORT, or a user that the image does not know. Each rule is a check, and so is what fnb generate would refuse.

A table is printed, or with --json a list. The exit code is 3 where a check failed.`,
		Example:           "  # all functions, for a CI system\n  fnb test --junit report.xml\n\n  # without a check that an image cannot pass\n  fnb test hello --skip drain\n\n  # will it run on Lambda and on OpenShift?\n  fnb test --as lambda,openshift\n\n  # no progress: the table, and the log of what failed\n  fnb test -q",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(cmd.CommandPath()); err != nil {
				return err
			}
			return g.runTest(cmd.Context(), o, args)
		},
	}
	o.addTestFlags(cmd)
	o.choice.addFlags(cmd.Flags(), "test")
	o.fresh.addFlag(cmd.Flags())
	cmd.SetFlagErrorFunc(testFlagError)
	return cmd
}

func (o *testOptions) parse(command string) (err error) {
	if o.skip, err = pipeline.ChecksNamed(o.skip); err != nil {
		return usagef(command, "--skip %w", err)
	}
	if o.platforms, err = probe.PlatformsNamed(o.as); err != nil {
		return usagef(command, "--as %w", err)
	}
	return o.containerFlags.parse(command)
}

func (o *testOptions) addTestFlags(cmd *cobra.Command) {
	o.containerFlags.addFlags(cmd.Flags())
	cmd.Flags().StringSliceVar(&o.skip, "skip", nil, "leave out the check `NAME`: tests, ready, request, examples, non-root, log-line or drain (repeatable)")
	cmd.Flags().StringSliceVar(&o.as, "as", nil, "make the contract test under the rules of `PLATFORM`: "+strings.Join(probe.PlatformNames(), ", ")+" or all (repeatable)")
	cmd.Flags().StringVar(&o.junit, "junit", "", "write the results to `FILE` as JUnit XML")
}

// options say how functions are tested.
func (o *testOptions) options() pipeline.TestOptions {
	return pipeline.TestOptions{Container: o.container, Platforms: o.settings.Inputs.Platforms, Contract: probe.Options{
		Listen: o.timeout, Skip: o.skip, As: o.platforms, Refused: refused,
	}}
}

func (g *globals) runTest(ctx context.Context, o *testOptions, names []string) error {
	results, err := g.testFunctions(ctx, o, names)
	return errors.Join(err, g.tested(ofStack, results, o.junit))
}

// testFunctions tests functions, and prints nothing but progress.
func (g *globals) testFunctions(ctx context.Context, o *testOptions, names []string) ([]pipeline.TestResult, error) {
	p, jobs, err := g.containers(ctx, &o.containerFlags, o.choice, names, "test")
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := g.showing(p, len(jobs)); err != nil {
		return nil, err
	}
	p.unfold = g.ci.Fold(g.err, "fnb: testing "+plain.Count(len(jobs), "function", "functions"))
	var mu sync.Mutex
	beside := g.serviced(ctx, p, &o.container, o.fresh, &mu, false)
	results, err := p.Test(ctx, jobs, o.options())
	beside.Close()
	p.Close()
	return results, errors.Join(err, p.WriteLock())
}
