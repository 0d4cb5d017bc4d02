package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"fnb/pipeline"
	"fnb/schema"
	"fnb/templates"
)

func newTemplateTest(g *globals) *cobra.Command {
	o := &testOptions{}
	cmd := &cobra.Command{
		Use:   "test DIR",
		Short: "build a template with its own starter, and test the image",
		Long: `Test builds a template with the handler that it gives users to start from, on each platform that it claims and the builder has. It runs the starter's tests, and makes the contract test of fnb test. The answer to the manifest's test request must be what the manifest says.

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
	m, err := g.means(o.inputs.insecure, place)
	if err != nil {
		return err
	}
	line, err := pipeline.New(stack, o.settings, m)
	if err != nil {
		return err
	}
	p := &shownPipeline{Pipeline: line, settings: o.settings}
	defer p.Close()
	if err := p.useOneBuilder(ctx, g); err != nil {
		return err
	}
	p.unfold = g.ci.Quote(g.err)
	if err := g.showing(p, 1); err != nil {
		return err
	}
	results, err := p.TestStarter(ctx, fn, tmpl, o.options())
	p.Progress.Close()
	return errors.Join(err, g.tested("template "+tmpl.Name, results, o.junit))
}
