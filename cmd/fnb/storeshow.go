package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/schema/deploy"
	"fnb/store"
)

func newStoreShow(g *globals) *cobra.Command {
	as, readme := "", false
	ways := deploy.Names(deploy.Platforms())
	cmd := &cobra.Command{
		Use:   "show REF",
		Short: "show a function, and how it is run, pulled and deployed",
		Long: `Show prints what a store says of a function: what it is, its platforms with their digests and sizes, how it is run, examples and versions. It also prints what to type to try it, to pull its image by digest, and to run it with Docker or deploy it to OpenFaaS, Knative or Kubernetes.

With --as only that command or manifest is printed, as it can be piped on.`,
		Example:           "  # a function that is part of fnb\n  fnb store show hash\n\n  # one of a store, in a range\n  fnb store show acme/shorten@^1\n\n  # deploy it\n  fnb store show acme/shorten --as kubernetes | kubectl apply -f -",
		Args:              exactly(1),
		ValidArgsFunction: g.completeStoreFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			way, ok := deploy.Find(deploy.Platforms(), as)
			if as != "" && !ok {
				return usagef(cmd.CommandPath(), "--as %q: it must be one of %s", as, strings.Join(ways, ", "))
			}
			return g.showFunction(cmd.Context(), args[0], way, readme)
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "print only what runs it with `WAY`: "+strings.Join(ways, ", "))
	cmd.Flags().BoolVar(&readme, "readme", false, "print only the README")
	_ = cmd.RegisterFlagCompletionFunc("as", cobra.FixedCompletions(ways, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return cmd
}

func (g *globals) showFunction(ctx context.Context, ref string, as deploy.Platform, readme bool) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	f, notes, err := st.Function(ctx, ref, store.Scope{})
	g.tell(notes)
	if err != nil {
		return err
	}
	if as.Name != "" {
		text, err := deployment(f.Record, as)
		if err != nil {
			return fmt.Errorf("%s as %s: %w", ref, as.Name, err)
		}
		_, err = fmt.Fprint(g.out, plain.Lines(text))
		return err
	}
	if readme {
		_, err := fmt.Fprint(g.out, plain.Lines(f.Record.README))
		return err
	}
	if g.json {
		return g.printJSON(f)
	}
	_, err = fmt.Fprint(g.out, describeFunction(f)+describeUse(ref, f.Record))
	return err
}
