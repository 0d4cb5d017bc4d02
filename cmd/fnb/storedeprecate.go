package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"fnb/schema"
	"fnb/store/publish"
)

func newStoreDeprecate(g *globals) *cobra.Command {
	why, key := schema.Deprecation{}, ""
	cmd := &cobra.Command{
		Use:     "deprecate NAMESPACE/NAME --use OTHER",
		Short:   "say that a function should not be used any more",
		Long:    "Deprecate marks a function with all its versions, and names another one to use instead or a reason. It can still be used; list, show and try say so.",
		Example: "  # another one has taken its place\n  fnb store deprecate acme/shorten --use acme/summary",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if why.Replacement == "" && why.Reason == "" {
				return usagef(cmd.CommandPath(), "--use and --reason are missing; say one of them")
			}
			if why.Reason == "" {
				why.Reason = "use " + why.Replacement
			}
			return g.deprecate(cmd.Context(), args[0], why, key)
		},
	}
	addRecordKeyFlag(cmd, &key)
	cmd.Flags().StringVar(&why.Replacement, "use", "", "the function `NAMESPACE/NAME` to use instead")
	cmd.Flags().StringVar(&why.Reason, "reason", "", "say why in `TEXT`")
	return cmd
}

func (g *globals) deprecate(ctx context.Context, ref string, why schema.Deprecation, key string) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	signing, err := g.signing(key)
	if err != nil {
		return err
	}
	out, err := publish.Deprecate(ctx, st, schema.KindFunction, ref, why, signing)
	if err != nil {
		return fmt.Errorf("deprecating %s: %w", ref, err)
	}
	return g.printRetired(out, ref+" was deprecated before, with the same words")
}
