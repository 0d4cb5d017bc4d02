package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/templates"
)

func newTemplateLint(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "lint DIR",
		Short:   "check the four parts of a template",
		Long:    "Lint reports all problems of a template's four parts at once, with file and line. An error makes the exit code 1; a warning does not.",
		Example: "  # the template of a folder\n  fnb template lint ./template/acme",
		Args:    exactly(1),
		RunE:    func(_ *cobra.Command, args []string) error { return g.lintTemplate(args[0]) },
	}
}

func (g *globals) lintTemplate(dir string) error {
	problems, err := templates.LintDir(dir)
	if err != nil {
		return err
	}
	return printProblems(g, "linting "+dir, problems, func(p templates.Problem) templates.Severity { return p.Severity })
}

// printProblems prints what a check found, a line each or as a JSON list, and
// returns an error where any of it is one. Doing is what was checked.
func printProblems[P fmt.Stringer](g *globals, doing string, problems []P, severity func(P) templates.Severity) error {
	if g.json {
		if problems == nil {
			problems = []P{}
		}
		if err := g.printJSON(problems); err != nil {
			return err
		}
	}
	failed := 0
	for _, p := range problems {
		if severity(p) == templates.SeverityError {
			failed++
		}
		if !g.json {
			if _, err := fmt.Fprintln(g.out, plain.Line(p.String())); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s: %s, %s", doing, plain.Count(len(problems), "problem", "problems"), plain.Count(failed, "error", "errors"))
	}
	return nil
}
