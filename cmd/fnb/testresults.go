package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"fnb/builder/probe"
	"fnb/internal/disk"
	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/schema/deploy"
)

// refused says what of a function a platform does not take: what fnb generate would say.
func refused(a probe.Asked) error {
	to, ok := deploy.Find(deploy.Platforms(), a.Platform)
	if !ok {
		return nil
	}
	fn := a.Function
	_, err := to.Write(deploy.Function{
		Name: fn.Name, Namespace: fn.Namespace, Image: fn.Name + "@sha256:", FProcess: fn.FProcess, Environment: a.Env, Secrets: fn.Secrets, Labels: fn.Labels,
		Annotations: fn.Annotations, Constraints: fn.Constraints, Limits: fn.Limits, Requests: fn.Requests, ReadOnlyRoot: fn.ReadOnlyRootFilesystem,
		Built: &deploy.Built{User: a.User, Environment: a.Environ},
	})
	return err
}

// testFailures is an error where a check failed.
func testFailures(what string, results []pipeline.TestResult) error {
	e := &testError{what: what}
	for _, r := range results {
		e.problems = append(e.problems, r.Problems...)
		for _, c := range r.Checks {
			if c.Status == probe.Failed {
				e.failed = append(e.failed, r.Title()+" "+c.Title())
				e.unasked = e.unasked || what == ofStack && c.Name == probe.Request && !r.Asked
			}
		}
	}
	if len(e.failed) > 0 {
		return e
	}
	return nil
}

// tested prints the results, and is an error where a check failed.
func (g *globals) tested(what string, results []pipeline.TestResult, junit string) error {
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
	return testFailures(what, results)
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
			fmt.Fprintf(tw, "%s\t%s\t%s\t%.2f\t%s\n", plain.Line(r.Title()), c.Title(), c.Status, c.Seconds, plain.Line(first))
			if (c.Status == probe.Failed || c.Status == probe.Warning && !g.quiet) && rest != "" {
				fmt.Fprintf(g.err, "--- %s: %s\n", plain.Line(r.Title()), c.Title())
				for line := range strings.SplitSeq(rest, "\n") {
					fmt.Fprintf(g.err, "    %s\n", plain.Line(line))
				}
			}
		}
	}
	return tw.Flush()
}
