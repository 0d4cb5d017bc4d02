package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/store"
	"fnb/templates"
)

func newTemplate(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "template",
		Short: "list, show, check and publish templates",
		Long:  "Template looks at what turns handlers into images. A template has four parts: a Dockerfile, an entrypoint, a handler and a package list.",
	})
	cmd.AddCommand(newTemplateList(g), newTemplateSearch(g), newTemplateShow(g), newTemplatePull(g), newTemplateInit(g), newTemplateLint(g), newTemplateTest(g), newTemplatePublish(g), newTemplateYank(g))
	return cmd
}

func newTemplateList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "list the templates that a stack can use by name",
		Long:    "List prints the templates that a stack can use by name: those of its own folder template/, those its stack file names, the official ones, and those of the stores that were added.",
		Example: "  # as a table, or for a program\n  fnb template list\n  fnb template list --json",
		Args:    exactly(0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return g.listTemplates(cmd.Context()) },
	}
}

// where says what the stack file at hand, if any, means for templates.
func (g *globals) where() (store.Where, error) {
	file, err := g.stackFile()
	if err != nil {
		wd, werr := filepath.Abs(".")
		return store.Where{Root: wd}, werr
	}
	stack, err := schema.ReadStack(relative(file), os.LookupEnv)
	if err == nil {
		err = stack.Needs(nil, []string{"configuration"})
	}
	if err != nil {
		return store.Where{}, err
	}
	lock, err := schema.ReadLock(lockFile(stack.File))
	return store.Where{Root: filepath.Dir(stack.File), Sources: stack.Configuration.Templates, Lock: lock, OpenFaaS: g.ofOpenFaaS(stack)}, err
}

// ownWord allows the folder that a template reference of the command line names: only
// the paths of a stack are to be confirmed.
func ownWord(where store.Where, ref string) store.Where {
	if r, err := schema.ParseTemplateRef(ref); err == nil && r.Kind == schema.RefFolder {
		dir := filepath.FromSlash(r.Dir)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(where.Root, dir)
		}
		where.Allow = append(where.Allow, dir)
	}
	return where
}

// storeHere is the store, and what the stack file at hand means for templates.
// Outside is what paths of that file may lead to beside its folder.
func (g *globals) storeHere(outside ...string) (*store.Store, store.Where, error) {
	st, err := g.newStore()
	if err != nil {
		return nil, store.Where{}, err
	}
	where, err := g.where()
	if err != nil {
		return st, where, err
	}
	may, err := reach("", outside)
	where.Allow = may.Allow
	return st, where, err
}

func (g *globals) listTemplates(ctx context.Context) error {
	st, where, err := g.storeHere()
	if err != nil {
		return err
	}
	entries, err := st.List(ctx, where)
	if err != nil {
		return err
	}
	if g.json {
		return g.printJSON(entries)
	}
	out := bufio.NewWriter(g.out) // as in printMatches
	tw := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tVERSION\tSTORE\tDESCRIPTION")
	for _, e := range entries {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", column(e.Name), column(e.Version), column(e.Store), column(e.Description))
	}
	return errors.Join(tw.Flush(), out.Flush())
}

// completeTemplates lists templates for the shell.
func (g *globals) completeTemplates() []string {
	st, where, err := g.storeHere()
	if err != nil {
		return nil
	}
	entries, err := st.List(context.Background(), where)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name+"\t"+plain.Line(e.Description))
	}
	return names
}

func newTemplateShow(g *globals) *cobra.Command {
	var outside []string
	cmd := &cobra.Command{
		Use:     "show REF",
		Short:   "show the four parts of a template",
		Long:    "Show prints what a template is made of, under its four parts: Dockerfile, entrypoint, handler and package list. Of a template in a store it also prints the versions.",
		Example: "  # an official template\n  fnb template show go\n\n  # one in a folder\n  fnb template show ./template/acme",
		Args:    exactly(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return g.completeTemplates(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error { return g.showTemplate(cmd.Context(), args[0], outside) },
	}
	addOutsideFlag(cmd.Flags(), &outside)
	return cmd
}

func (g *globals) showTemplate(ctx context.Context, ref string, outside []string) error {
	st, where, err := g.storeHere(outside...)
	if err != nil {
		return err
	}
	t, pin, notes, err := st.Resolve(ctx, ref, ownWord(where, ref))
	g.tell(notes)
	if err != nil {
		return ofTemplate(err)
	}
	versions, err := st.Versions(ctx, ref)
	if err != nil {
		return err
	}
	if g.json {
		return g.printJSON(map[string]any{
			"name": t.Name, "pin": pin, "manifest": t.Manifest,
			"dockerfile": t.Dockerfile, "entrypoint": t.Entrypoint, "handler": t.Handler, "packages": t.Packages, "versions": versions,
		})
	}
	_, err = fmt.Fprint(g.out, describeTemplate(t, pin)+describeVersions(versions))
	return err
}

// describeTemplate writes a template under the headings of its four parts.
func describeTemplate(t *templates.Template, pin schema.Pin) string {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	row := func(k, v string) {
		if v != "" {
			fmt.Fprintf(tw, "%s\t%s\n", k, column(v))
		}
	}
	head := func(s string) { fmt.Fprintf(tw, "\n%s\n", s) }
	row("Template", strings.TrimSpace(t.Name+" "+t.Manifest.Version))
	row("Description", t.Manifest.Description)
	row("License", t.Manifest.License)
	row("From", pin.Store)
	row("Commit", pin.Commit)
	row("Checksum", pin.Checksum)
	row("Platforms", t.Manifest.Platforms.String())
	head("Dockerfile")
	row("  Bases", strings.Join(t.Dockerfile.Bases, ", "))
	row("  Stages", strings.Join(named(t.Dockerfile.Stages), ", "))
	row("  Build args", strings.Join(t.Dockerfile.Args, ", "))
	watchdog := "layered in by fnb"
	if t.Dockerfile.BringsWatchdog {
		watchdog = "brought by the Dockerfile"
	} else if w := t.Manifest.Watchdog; w != "" && w != "default" {
		watchdog = w
	}
	row("  Watchdog", watchdog)
	head("Entrypoint")
	row("  fprocess", t.Entrypoint.FProcess)
	row("  Mode", t.Entrypoint.Mode)
	row("  Upstream", t.Entrypoint.UpstreamURL)
	row("  Files", strings.Join(t.Entrypoint.Files, ", "))
	head("Handler")
	row("  Folder", t.Handler.Folder)
	row("  Starter", strings.Join(t.Handler.Files, ", "))
	head("Package list")
	for _, l := range t.Packages.Lists {
		row("  "+plain.Line(l.Ecosystem), strings.TrimSpace(l.Manifest+" "+l.Lock))
	}
	for _, o := range t.Packages.Options {
		row("  option "+plain.Line(o.Name), strings.Join(o.Packages, " "))
	}
	_ = tw.Flush() // a strings.Builder takes everything
	return b.String()
}

func named(stages []string) []string {
	var out []string
	for _, s := range stages {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

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
		return fmt.Errorf("%s: %d problems, %d of them errors", doing, len(problems), failed)
	}
	return nil
}
