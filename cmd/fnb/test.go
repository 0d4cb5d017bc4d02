package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fnb/builder"
	"fnb/builder/probe"
	"fnb/internal/plain"
	"fnb/schema"
	"fnb/templates"
)

type testOptions struct {
	containerOptions
	junit string
	skip  []string
}

// A testResult is what fnb test found of one function on one platform.
type testResult struct {
	Function string        `json:"function"`
	Platform string        `json:"platform,omitempty"`
	OK       bool          `json:"ok"`
	Checks   []probe.Check `json:"checks"`

	place    place
	problems []error // of the checks that failed
}

// A testError says that checks failed; what they are has been printed.
type testError struct {
	what     string
	failed   []string
	problems []error // each with its place
}

func (e *testError) Error() string {
	return fmt.Sprintf("testing %s: %d checks failed: %s", e.what, len(e.failed), strings.Join(e.failed, ", "))
}

// Checks that fnb makes before the contract test.
const (
	checkBuild    = "build"
	checkTests    = "tests"
	checkSetup    = "setup" // what comes before them
	checkPlatform = "platform"
)

func newTest(g *globals) *cobra.Command {
	o := &testOptions{}
	cmd := &cobra.Command{
		Use:   "test [FUNCTION…]",
		Short: "run the tests of functions, and the contract test of their images",
		Long: `Test builds functions, runs the handlers' own tests with the test target of their templates, starts their images in the builder and checks what a platform expects of each: health, readiness, an answer to a request, a user that is not root, that a line of 70 KB reaches the log whole, and that after SIGTERM the request under way is answered and the process ends.

The request has the body that the template's manifest gives; of the answer only the status counts, which is to be under 500.

--skip leaves checks out, and so does test.skip of a function in the stack file; test.target names the stage that runs its tests, where the template names none. What an image's own watchdog cannot do is a warning.

A table is printed, or with --json a list. The exit code is 3 where a check failed.`,
		Example:           "  # all functions, for a CI system\n  fnb test --junit report.xml\n\n  # without a check that an image cannot pass\n  fnb test hello --skip drain",
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
	return cmd
}

func (o *testOptions) parse(command string) (err error) {
	if o.skip, err = checksNamed(o.skip); err != nil {
		return usagef(command, "--skip %w", err)
	}
	return o.containerOptions.parse(command)
}

func (o *testOptions) addTestFlags(cmd *cobra.Command) {
	o.addFlags(cmd.Flags())
	cmd.Flags().StringSliceVar(&o.skip, "skip", nil, "leave out the check `NAME`: tests, ready, request, non-root, log-line or drain (repeatable)")
	cmd.Flags().StringVar(&o.junit, "junit", "", "write the results to `FILE` as JUnit XML")
}

func (g *globals) runTest(ctx context.Context, o *testOptions, names []string) error {
	p, jobs, err := g.containers(ctx, &o.containerOptions, names)
	if err != nil {
		return err
	}
	defer p.close()
	if err := g.showing(p, len(jobs)); err != nil {
		return err
	}
	p.unfold = g.ci.fold(g.err, fmt.Sprintf("fnb: testing %d functions", len(jobs)))
	results := make([]testResult, len(jobs))
	index := map[*job]int{}
	for i, j := range jobs {
		index[j] = i
	}
	err = each(ctx, jobs, o.parallel, func(ctx context.Context, j *job) error {
		r := &results[index[j]]
		req, tmpl, err := p.container(ctx, j, &o.containerOptions)
		if err == nil {
			*r, err = p.test(ctx, j, tmpl, req, probe.Options{Listen: o.timeout, Skip: o.skip})
		}
		if err != nil && ctx.Err() == nil { // a report in which it is missing would look well
			r.Function, r.place = j.fn.Name, j.place
			r.Checks = append(r.Checks, probe.Check{Name: checkSetup, Status: probe.Failed, Detail: oneLine(err)})
		}
		return err
	})
	p.close()
	if lerr := p.writeLock(); lerr != nil {
		err = errors.Join(err, lerr)
	}
	var made []testResult
	for _, r := range results {
		if r.Function != "" {
			made = append(made, r)
		}
	}
	return errors.Join(err, g.tested("functions", made, o.junit))
}

// test makes all checks of one function. The error is that of something other
// than the function, such as a builder that went away.
func (p *pipeline) test(ctx context.Context, j *job, tmpl *templates.Template, req builder.RunRequest, o probe.Options) (testResult, error) {
	j.doing = "testing"
	r := testResult{Function: j.fn.Name, place: j.place}
	if len(req.Build.Platforms) > 0 {
		r.Platform = req.Build.Platforms[0].String()
	}
	if test := tmpl.Manifest.Test; test != nil && test.Request != nil {
		o.Body = test.Request.Body
	}
	if o.Watchdog = tmpl.Dockerfile.Watchdog; j.fn.Test != nil {
		skip, err := checksNamed(j.fn.Test.Skip)
		if err != nil {
			return r, fmt.Errorf("test.skip: %w", err)
		}
		o.Skip = slices.Concat(o.Skip, skip)
	}
	if target := testTarget(j.fn, tmpl); target == "" {
		r.Checks = append(r.Checks, probe.Check{Name: checkTests, Status: probe.Skipped, Detail: "the template has no test target"})
	} else if slices.Contains(o.Skip, checkTests) {
		r.Checks = append(r.Checks, probe.Check{Name: checkTests, Status: probe.Skipped, Detail: "left out"})
	} else {
		only := *req.Build
		only.Target, only.Watchdog, only.Config = target, builder.Watchdog{}, schema.ImageConfig{}
		only.Name = j.fn.Name
		if err := r.check(checkTests, func() error { _, err := p.machine.Solve(ctx, only); return err }); err != nil {
			return r, err
		}
	}
	var checks []probe.Check
	err := r.check(checkBuild, func() (err error) {
		_, err = p.machine.Solve(ctx, *req.Build)
		return err
	})
	if err == nil && r.Checks[len(r.Checks)-1].Status == probe.Passed {
		checks, err = probe.Run(ctx, p.machine, req, o)
	}
	for _, c := range checks {
		if c.Status == probe.Failed {
			r.problem(fmt.Errorf("%s: %s", c.Name, c.Detail))
		}
	}
	r.Checks = append(r.Checks, checks...)
	r.OK = probe.OK(r.Checks)
	return r, err
}

// testTarget is the stage that runs a function's tests: the stack's, or the template's;
// "" without.
func testTarget(fn schema.Function, tmpl *templates.Template) string {
	if fn.Test != nil && fn.Test.Target != "" {
		return fn.Test.Target
	}
	if test := tmpl.Manifest.Test; test != nil {
		return test.Target
	}
	return ""
}

// checksNamed are the checks that somebody leaves out; log-line is "log line" too.
func checksNamed(names []string) ([]string, error) {
	known := append(probe.Optional(), checkTests)
	var out []string
	for _, name := range names {
		at := slices.IndexFunc(known, func(k string) bool { return k == name || strings.ReplaceAll(k, " ", "-") == name })
		if at < 0 {
			return nil, fmt.Errorf("%q is no check that can be left out: it is one of %s", name, strings.ReplaceAll(strings.Join(known, ", "), " line", "-line"))
		}
		out = append(out, known[at])
	}
	return out, nil
}

// check is one that a solve makes: only a step that fails is the function's own
// fault.
func (r *testResult) check(name string, do func() error) error {
	began := time.Now()
	err := do()
	c := probe.Check{Name: name, Status: probe.Passed, Seconds: time.Since(began).Seconds()}
	var se *builder.SolveError
	switch {
	case errors.As(err, &se) && se.Denied == "":
		c.Status = probe.Failed
		c.Detail = strings.Join(append([]string{se.Error()}, se.Log...), "\n")
		r.problem(fmt.Errorf("%s: %w", name, se))
	case err != nil:
		return err
	}
	r.Checks = append(r.Checks, c)
	return nil
}

// problem notes a check that failed beside the function's place.
func (r *testResult) problem(err error) {
	r.problems = append(r.problems, &functionError{name: r.Function, place: r.place, err: err})
}

// tested prints the results, and is an error where a check failed.
func (g *globals) tested(what string, results []testResult, junit string) error {
	e := &testError{what: what}
	for _, r := range results {
		e.problems = append(e.problems, r.problems...)
		for _, c := range r.Checks {
			if c.Status == probe.Failed {
				e.failed = append(e.failed, r.title()+" "+c.Name)
			}
		}
	}
	if junit != "" {
		raw, err := junitXML(results)
		if err != nil {
			return err
		}
		if err := schema.WriteFile(junit, raw, 0o644); err != nil {
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

func (r *testResult) title() string {
	if r.Platform == "" {
		return r.Function
	}
	return r.Function + " " + r.Platform
}

func (g *globals) printTests(results []testResult) error {
	if g.json {
		if results == nil {
			results = []testResult{}
		}
		return g.printJSON(results)
	}
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "FUNCTION\tCHECK\tRESULT\tSECONDS\tDETAIL")
	for _, r := range results {
		for _, c := range r.Checks {
			first, rest, _ := strings.Cut(c.Detail, "\n")
			fmt.Fprintf(tw, "%s\t%s\t%s\t%.2f\t%s\n", plain.Line(r.title()), c.Name, c.Status, c.Seconds, plain.Line(first))
			if (c.Status == probe.Failed || c.Status == probe.Warning) && rest != "" && !g.quiet {
				fmt.Fprintf(g.err, "--- %s: %s\n", plain.Line(r.title()), c.Name)
				for line := range strings.SplitSeq(rest, "\n") {
					fmt.Fprintf(g.err, "    %s\n", plain.Line(line))
				}
			}
		}
	}
	return tw.Flush()
}
