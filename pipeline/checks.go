package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/builder/probe"
	"fnb/schema"
	"fnb/store"
	"fnb/templates"
)

// TestOptions say how functions are tested.
type TestOptions struct {
	Container ContainerOptions
	Contract  probe.Options    // of each contract test; Skip is as [ChecksNamed] has it
	Platforms schema.Platforms // for a template: those to test on; none is what it claims
}

// A TestResult is what testing one function on one platform has found.
type TestResult struct {
	Function string        `json:"function"`
	Platform string        `json:"platform,omitempty"`
	OK       bool          `json:"ok"`
	Checks   []probe.Check `json:"checks"`
	Problems []error       `json:"-"` // of the checks that failed, each a [*FunctionError]
	Asked    bool          `json:"-"` // the request is the stack's own, and not the template's

	place Place
}

// Checks that are made before the contract test.
const (
	checkBuild    = "build"
	checkTests    = "tests"
	checkSetup    = "setup" // what comes before them
	checkPlatform = "platform"
)

// Test makes all checks of the jobs' functions, several at a time. The error is that of
// something other than a function, such as a builder that went away; there are results
// of what could be tested all the same.
func (p *Pipeline) Test(ctx context.Context, jobs []*Job, o TestOptions) ([]TestResult, error) {
	results := make([]TestResult, len(jobs))
	err := Each(ctx, jobs, max(p.settings.Parallel, 1), func(ctx context.Context, i int, j *Job) error {
		r := &results[i]
		pl, err := p.Prepare(ctx, j)
		if err == nil {
			*r, err = p.test(ctx, pl, o.Container, o.Contract)
		}
		if err != nil && ctx.Err() == nil { // a report in which it is missing would look well
			r.Function, r.place = j.Function.Name, j.Place
			r.Checks = append(r.Checks, probe.Check{Name: checkSetup, Status: probe.Failed, Detail: oneLine(err)})
		}
		return err
	})
	return slices.DeleteFunc(results, func(r TestResult) bool { return r.Function == "" }), err
}

// TestStarter tests a template with the function that its starter was scaffolded for, on
// each platform that it claims.
func (p *Pipeline) TestStarter(ctx context.Context, fn schema.Function, tmpl *templates.Template, o TestOptions) ([]TestResult, error) {
	info, err := p.Machine.Info(ctx)
	if err != nil {
		return nil, err
	}
	platforms := o.Platforms
	if len(platforms) == 0 {
		platforms = tmpl.Manifest.Platforms
	}
	if len(platforms) == 0 {
		platforms = schema.Platforms{{}}
	}
	var results []TestResult
	for _, platform := range platforms {
		name := platform.String()
		if platform != (schema.Platform{}) && !slices.Contains(info.Platforms, name) {
			results = append(results, TestResult{Function: fn.Name, Platform: name, OK: true, Checks: []probe.Check{
				{Name: checkPlatform, Status: probe.Skipped, Detail: "the builder does not have it"},
			}})
			continue
		}
		r, err := p.testOn(ctx, fn, tmpl, platform, o)
		if err != nil {
			return results, cause(err)
		}
		results = append(results, r)
	}
	return results, nil
}

func (p *Pipeline) testOn(ctx context.Context, fn schema.Function, tmpl *templates.Template, platform schema.Platform, o TestOptions) (TestResult, error) {
	j := &Job{Function: fn, Refs: []Reference{{Text: fn.Name}}, Place: PlaceOf(p.Stack, fn)}
	pl, err := p.prepareWith(ctx, j, resolved{Template: tmpl, Pin: schema.Pin{Store: tmpl.Dir}})
	if err != nil {
		return TestResult{}, err
	}
	pl.req.Platforms = nil
	if platform != (schema.Platform{}) {
		pl.req.Platforms = []schema.Platform{platform}
	}
	o.Contract.Exact = tmpl.Manifest.Test != nil && tmpl.Manifest.Test.Request != nil
	return p.test(ctx, pl, o.Container, o.Contract)
}

// test makes all checks of one function. It is given what its function.yml says that the
// examples need, unless the options say otherwise.
func (p *Pipeline) test(ctx context.Context, pl *Plan, with ContainerOptions, o probe.Options) (TestResult, error) {
	r := TestResult{Function: pl.Job.Function.Name, place: pl.Job.Place}
	about, err := store.AboutFunction(pl.Job.Function, p.Reach)
	if err != nil {
		return r, While("testing", err)
	}
	req, err := p.containerOf(pl, with.tried(about.Try))
	if err != nil {
		return r, err
	}
	if err := with.Route(ctx, &req, pl.Job.Function); err != nil {
		return r, While("testing", err)
	}
	o.Examples, o.Function = about.Examples, pl.Job.Function
	err = p.testInto(ctx, &r, pl, req, o)
	return r, While("testing", err)
}

func (p *Pipeline) testInto(ctx context.Context, r *TestResult, pl *Plan, req containers.Request, o probe.Options) error {
	fn, tmpl := pl.Job.Function, pl.Template
	if len(req.Build.Platforms) > 0 {
		r.Platform = req.Build.Platforms[0].String()
	}
	if test := tmpl.Manifest.Test; test != nil && test.Request != nil {
		o.Request = test.Request.Example()
	}
	if o.Watchdog = tmpl.Dockerfile.Watchdog; fn.Test != nil {
		if fn.Test.Request != nil {
			o.Request, o.Exact, r.Asked = fn.Test.Request.Example(), true, true
		}
		skip, err := ChecksNamed(fn.Test.Skip)
		if err != nil {
			return fmt.Errorf("test.skip: %w", err)
		}
		o.Skip = slices.Concat(o.Skip, skip)
	}
	if target := testTarget(fn, tmpl); target == "" {
		r.Checks = append(r.Checks, probe.Check{Name: checkTests, Status: probe.Skipped, Detail: "the template has no test target"})
	} else if slices.Contains(o.Skip, checkTests) {
		r.Checks = append(r.Checks, probe.Check{Name: checkTests, Status: probe.Skipped, Detail: "left out"})
	} else {
		only := stageOf(req.Build, target)
		if err := r.check(checkTests, func() error {
			_, err := p.Machine.Solve(ctx, only)
			return p.explained(ctx, pl, err)
		}); err != nil {
			return err
		}
	}
	var checks []probe.Check
	err := r.check(checkBuild, func() error {
		_, err := p.Machine.Solve(ctx, *req.Build)
		return p.explained(ctx, pl, err)
	})
	if err == nil && r.Checks[len(r.Checks)-1].Status == probe.Passed {
		checks, err = probe.Run(ctx, p.Machine, req, o)
	}
	for _, c := range checks {
		if c.Status == probe.Failed {
			r.problem(fmt.Errorf("%s: %s", c.Title(), c.Detail))
		}
	}
	r.Checks = append(r.Checks, checks...)
	r.OK = probe.OK(r.Checks)
	return err
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

// ChecksNamed are the checks that somebody leaves out; log-line is "log line" too.
func ChecksNamed(names []string) ([]string, error) {
	known := append(probe.Optional(), checkTests)
	var out []string
	for _, name := range names {
		at := slices.IndexFunc(known, func(k string) bool { return k == name || strings.ReplaceAll(k, " ", "-") == name })
		if at < 0 {
			return nil, fmt.Errorf("%q is not a check that can be left out: those are %s", name, strings.ReplaceAll(strings.Join(known, ", "), " line", "-line"))
		}
		out = append(out, known[at])
	}
	return out, nil
}

// check is one that a solve makes: only a step that fails by itself is the function's own
// fault.
func (r *TestResult) check(name string, do func() error) error {
	began := time.Now()
	err := do()
	c := probe.Check{Name: name, Status: probe.Passed, Seconds: time.Since(began).Seconds()}
	var se *builder.SolveError
	switch {
	case errors.As(err, &se) && se.Denied == "" && !se.Killed():
		c.Status = probe.Failed
		c.Detail = strings.Join(append([]string{err.Error()}, se.Log...), "\n")
		r.problem(fmt.Errorf("%s: %w", name, err))
	case err != nil:
		return err
	}
	r.Checks = append(r.Checks, c)
	return nil
}

// problem notes a check that failed beside the function's place.
func (r *TestResult) problem(err error) {
	r.Problems = append(r.Problems, &FunctionError{Name: r.Function, Place: r.place, Err: err})
}

// Title names the function, and the platform where it is known.
func (r *TestResult) Title() string {
	if r.Platform == "" {
		return r.Function
	}
	return r.Function + " " + r.Platform
}
