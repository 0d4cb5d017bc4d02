package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fnb/builder/probe"
	"fnb/internal/disk"
	"fnb/internal/plain"
	"fnb/pipeline"
)

type testOptions struct {
	containerFlags
	choice
	junit string
	skip  []string
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

A table is printed, or with --json a list. The exit code is 3 where a check failed.`,
		Example:           "  # all functions, for a CI system\n  fnb test --junit report.xml\n\n  # without a check that an image cannot pass\n  fnb test hello --skip drain\n\n  # no progress: the table, and the log of what failed\n  fnb test -q",
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
	return o.containerFlags.parse(command)
}

func (o *testOptions) addTestFlags(cmd *cobra.Command) {
	o.containerFlags.addFlags(cmd.Flags())
	cmd.Flags().StringSliceVar(&o.skip, "skip", nil, "leave out the check `NAME`: tests, ready, request, examples, non-root, log-line or drain (repeatable)")
	cmd.Flags().StringVar(&o.junit, "junit", "", "write the results to `FILE` as JUnit XML")
}

// options say how functions are tested.
func (o *testOptions) options() pipeline.TestOptions {
	return pipeline.TestOptions{Container: o.container, Listen: o.timeout, Skip: o.skip, Platforms: o.settings.Inputs.Platforms}
}

func (g *globals) runTest(ctx context.Context, o *testOptions, names []string) error {
	p, jobs, err := g.containers(ctx, &o.containerFlags, o.choice, names, "test")
	if err != nil {
		return err
	}
	defer p.Close()
	if err := g.showing(p, len(jobs)); err != nil {
		return err
	}
	p.unfold = g.ci.Fold(g.err, "fnb: testing "+plain.Count(len(jobs), "function", "functions"))
	var mu sync.Mutex
	beside := g.serviced(ctx, p, &o.container, o.fresh, &mu, false)
	results, err := p.Test(ctx, jobs, o.options())
	beside.Close()
	p.Close()
	return errors.Join(err, p.WriteLock(), g.tested(ofStack, results, o.junit))
}

// tested prints the results, and is an error where a check failed.
func (g *globals) tested(what string, results []pipeline.TestResult, junit string) error {
	e := &testError{what: what}
	for _, r := range results {
		e.problems = append(e.problems, r.Problems...)
		for _, c := range r.Checks {
			if c.Status == probe.Failed {
				e.failed = append(e.failed, r.Title()+" "+c.Name)
				e.unasked = e.unasked || what == ofStack && c.Name == probe.Request && !r.Asked
			}
		}
	}
	if junit != "" {
		raw, err := junitXML(results)
		if err != nil {
			return err
		}
		if err := disk.ReplaceFile(junit, raw, 0o644); err != nil {
			return err
		}
	}
	if err := g.printTests(results); err != nil {
		return err
	}
	if len(e.failed) > 0 {
		return e
	}
	return nil
}

func (g *globals) printTests(results []pipeline.TestResult) error {
	if g.json {
		if results == nil {
			results = []pipeline.TestResult{}
		}
		return g.printJSON(results)
	}
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "FUNCTION\tCHECK\tRESULT\tSECONDS\tDETAIL")
	for _, r := range results {
		for _, c := range r.Checks {
			first, rest, _ := strings.Cut(c.Detail, "\n")
			fmt.Fprintf(tw, "%s\t%s\t%s\t%.2f\t%s\n", plain.Line(r.Title()), c.Name, c.Status, c.Seconds, plain.Line(first))
			if (c.Status == probe.Failed || c.Status == probe.Warning && !g.quiet) && rest != "" {
				fmt.Fprintf(g.err, "--- %s: %s\n", plain.Line(r.Title()), c.Name)
				for line := range strings.SplitSeq(rest, "\n") {
					fmt.Fprintf(g.err, "    %s\n", plain.Line(line))
				}
			}
		}
	}
	return tw.Flush()
}
