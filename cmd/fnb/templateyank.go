package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fnb/schema"
	"fnb/store/publish"
)

func newTemplateYank(g *globals) *cobra.Command {
	return g.newYank(schema.KindTemplate, &cobra.Command{
		Short:   "withdraw a version of a template",
		Long:    "Yank adds a note to a version in its store, with which it is not chosen any more. If fnb.lock has the version, it goes on working, with a warning. The record itself stays as it is.",
		Example: "  # a version that should not be used\n  fnb template yank acme/go@1.4.1 --reason \"drops the body over 1 MiB\" --severity broken --use 1.4.2",
	})
}

// newYank completes a command that withdraws a version of a kind.
func (g *globals) newYank(kind string, cmd *cobra.Command) *cobra.Command {
	y, key := schema.Yank{}, ""
	cmd.Use, cmd.Args = "yank NAMESPACE/NAME@VERSION --reason TEXT", exactly(1)

	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if y.Reason == "" {
			return usagef(cmd.CommandPath(), "--reason is missing")
		}
		return g.yank(cmd.Context(), kind, args[0], y, key)
	}
	addRecordKeyFlag(cmd, &key)
	f := cmd.Flags()
	f.StringVar(&y.Reason, "reason", "", "say why in `TEXT`")
	f.StringVar(&y.Severity, "severity", "", "how bad it is, `WORD`: broken, security or legal")
	f.StringVar(&y.Use, "use", "", "the version `V` to use instead")
	return cmd
}

func (g *globals) yank(ctx context.Context, kind, ref string, y schema.Yank, key string) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	signing, err := g.signing(key)
	if err != nil {
		return err
	}
	out, err := publish.Yank(ctx, st, kind, ref, y, signing)
	if err != nil {
		return fmt.Errorf("withdrawing %s: %w", ref, err)
	}
	return g.printRetired(out, ref+" was withdrawn before")
}

// printRetired prints what was withdrawn or deprecated; before is said where it was
// so already.
func (g *globals) printRetired(out publish.Published, before string) error {
	if g.json {
		return g.printJSON(out)
	}
	if out.Already {
		g.tell([]string{before})
	}
	_, err := fmt.Fprintln(g.out, strings.TrimSpace(out.Name+" "+out.Version))
	return err
}
