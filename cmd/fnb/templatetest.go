package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fnb/builder/probe"
	"fnb/packaging"
	"fnb/registry"
	"fnb/schema"
	"fnb/templates"
)

func newTemplateTest(g *globals) *cobra.Command {
	o := &testOptions{}
	cmd := &cobra.Command{
		Use:   "test DIR",
		Short: "build a template with its own starter, and test the image",
		Long: `Test builds a template with the handler that it gives users to start from, on each platform that it claims and the builder has, runs the starter's tests, and makes the contract test of fnb test. The answer to the manifest's test request has to contain what the manifest says.

The exit code is 3 where a check failed. A platform that the builder does not have is skipped.`,
		Example: "  fnb template test ./template/acme",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(cmd.CommandPath()); err != nil {
				return err
			}
			return g.testTemplate(cmd.Context(), o, args[0])
		},
	}
	o.addTestFlags(cmd)
	return cmd
}

func (g *globals) testTemplate(ctx context.Context, o *testOptions, dir string) (err error) {
	tmpl, err := templates.OpenDir(dir)
	if err != nil {
		return err
	}
	place, err := os.MkdirTemp("", "fnb-template-test-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(place)) }()
	if _, err := tmpl.Scaffold(filepath.Join(place, "handler")); err != nil {
		return err
	}
	name := strings.TrimRight(strings.ToLower(tmpl.Name), "-")
	if schema.ValidateFunctionName(name) != nil {
		name = "template"
	}
	fn := schema.Function{Name: name, Lang: tmpl.Name, Handler: "./handler"}
	stack := &schema.Stack{File: filepath.Join(place, "stack.yaml"), Functions: []schema.Function{fn}}
	p := &pipeline{stack: stack, reach: schema.Reach{Root: place}, opts: &o.buildOptions, pins: newPins(&schema.Lock{}), builder: &lazyBuilder{g: g, memory: place}}
	if p.registry, err = registry.New(registry.Options{Insecure: o.insecure, UserAgent: "fnb/" + fnbVersion()}); err != nil {
		return err
	}
	cfg, err := readConfig()
	if err != nil {
		return err
	}
	p.mirrors = mirrorsOf(cfg)
	defer p.close()
	if err := p.settle(ctx, g); err != nil {
		return err
	}
	p.unfold = g.ci.quote(g.err)
	if err := g.showing(p, 1); err != nil {
		return err
	}
	results, err := p.testStarter(ctx, fn, tmpl, o)
	p.progress.Close()
	return errors.Join(err, g.tested("template "+tmpl.Name, results, o.junit))
}

// testStarter tests the starter on each platform.
func (p *pipeline) testStarter(ctx context.Context, fn schema.Function, tmpl *templates.Template, o *testOptions) ([]testResult, error) {
	info, err := p.machine.Info(ctx)
	if err != nil {
		return nil, err
	}
	platforms := o.forced
	if len(platforms) == 0 {
		platforms = tmpl.Manifest.Platforms
	}
	if len(platforms) == 0 {
		platforms = schema.Platforms{{}}
	}
	var results []testResult
	for _, platform := range platforms {
		name := platform.String()
		if platform != (schema.Platform{}) && !slices.Contains(info.Platforms, name) {
			results = append(results, testResult{Function: fn.Name, Platform: name, OK: true, Checks: []probe.Check{
				{Name: checkPlatform, Status: probe.Skipped, Detail: "the builder does not have it"},
			}})
			continue
		}
		r, err := p.testOn(ctx, fn, tmpl, platform, o)
		if err != nil {
			return results, err
		}
		results = append(results, r)
	}
	return results, nil
}

func (p *pipeline) testOn(ctx context.Context, fn schema.Function, tmpl *templates.Template, platform schema.Platform, o *testOptions) (testResult, error) {
	j := &job{fn: fn, refs: []string{fn.Name}, place: placeOf(p.stack, fn), report: &schema.FunctionReport{Name: fn.Name, Pin: &schema.Pin{Store: tmpl.Dir}}}
	bc, err := packaging.Assemble(ctx, packaging.Input{
		Function: fn, Template: tmpl, Root: filepath.Dir(p.stack.File),
		BuildOptions: o.buildOptions.buildOptions, BuildArgs: o.buildArgs,
	})
	if err != nil {
		return testResult{}, err
	}
	req, err := p.containerOf(ctx, j, tmpl, bc, &o.containerOptions)
	if err != nil {
		return testResult{}, err
	}
	req.Build.Platforms = nil
	if platform != (schema.Platform{}) {
		req.Build.Platforms = []schema.Platform{platform}
	}
	po := probe.Options{Listen: o.timeout, Skip: o.skip}
	if t := tmpl.Manifest.Test; t != nil && t.Request != nil {
		po.Contains = t.Request.Contains
	}
	return p.test(ctx, j, tmpl, req, po)
}
