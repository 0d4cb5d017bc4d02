package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/packaging/lists"
	"fnb/schema"
	"fnb/schema/words"
	"fnb/templates"
)

func newTemplateShow(g *globals) *cobra.Command {
	var outside []string
	readme := false
	cmd := &cobra.Command{
		Use:     "show REF",
		Short:   "show the four parts of a template",
		Long:    "Show prints what a template is made of, under its four parts: Dockerfile, entrypoint, handler and package list. Of a template in a store it also prints the versions. Its README is printed last, or with --readme alone.",
		Example: "  # an official template\n  fnb template show go\n\n  # one in a folder\n  fnb template show ./template/acme\n\n  # how a handler is written\n  fnb template show typescript --readme",
		Args:    exactly(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return g.completeTemplates(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.showTemplate(cmd.Context(), args[0], outside, readme)
		},
	}
	addOutsideFlag(cmd.Flags(), &outside)
	cmd.Flags().BoolVar(&readme, "readme", false, "print only the README")
	return cmd
}

func (g *globals) showTemplate(ctx context.Context, ref string, outside []string, readmeOnly bool) error {
	st, where, err := g.storeHere(outside...)
	if err != nil {
		return err
	}
	t, pin, notes, err := st.Resolve(ctx, ref, ownWord(where, ref))
	g.tell(notes)
	if err != nil {
		return ofTemplate(err)
	}
	readme, err := t.README()
	if err != nil {
		return ofTemplate(err)
	}
	if readmeOnly {
		_, err := fmt.Fprint(g.out, plain.Lines(readme))
		return err
	}
	versions, err := st.Versions(ctx, ref)
	if err != nil {
		return err
	}
	if g.json {
		return g.printJSON(map[string]any{
			"name": t.Name, "pin": pin, "manifest": t.Manifest,
			"dockerfile": t.Dockerfile, "entrypoint": t.Entrypoint, "handler": t.Handler, "packages": t.Packages, "versions": versions, "readme": readme,
		})
	}
	if readme != "" {
		readme = "\nREADME\n\n" + plain.Lines(readme)
	}
	_, err = fmt.Fprint(g.out, describeTemplate(t, pin)+describeVersions(versions)+readme)
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
	row("Signed by", pin.Signer)
	row("Platforms", t.Manifest.Platforms.String())
	head("Dockerfile")
	row("  Bases", strings.Join(t.Dockerfile.Bases, ", "))
	row("  Stages", strings.Join(named(t.Dockerfile.Stages), ", "))
	row("  Build args", strings.Join(t.Dockerfile.Args, ", "))
	if rt := t.Manifest.Runtime; rt != nil && len(rt.Files) > 0 {
		row("  Version", rt.Arg+" from "+strings.Join(rt.Files, ", "))
	}
	watchdog := "layered in by fnb"
	if t.Dockerfile.BringsWatchdog {
		watchdog = "brought by the Dockerfile"
	} else if w := t.Manifest.Watchdog; w != "" && w != words.WatchdogDefault {
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
		if managers := lists.Managers(l); len(managers) > 1 {
			row("    installs with", strings.Join(managers, ", "))
		}
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
