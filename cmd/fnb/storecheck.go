package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"fnb/registry"
	"fnb/store"
	"fnb/templates"
)

func newStoreCheck(g *globals) *cobra.Command {
	req, images := store.CheckRequest{}, false
	var insecure []string
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "check a store, or a change to it",
		Long: `Check is for those who run a store, before a change is merged. It reads the store in DIR (default the working directory) as HEAD has it and reports every file that is not what it should be, and every record whose template cannot be fetched, has another checksum, or does not pass lint. With --images it also reports records of functions whose image is not in its registry with the digests, sizes and platforms that they say.

With --base only the records that are new since then are fetched; versions that were changed or taken back are errors, and so are changes in a namespace whose owners, as the base has them, none of the --author names. Warnings are for a person to look at and do not change the exit code.

Whoever proposes a change chooses the addresses in it. So credentials are sent to the repositories only that records of the base name already, and of such a private repository no more is told than that something is wrong; registries are asked without any. --credentials sends them everywhere: use it where everybody who can propose a change may read what they open.`,
		Example: "  # in a store's CI, for a proposed change\n  fnb store check --base origin/main --author ann@example.com",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef(cmd.CommandPath(), "accepts at most one folder")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Dir = "."
			if len(args) > 0 {
				req.Dir = args[0]
			}
			if images {
				var err error
				if req.Registry, err = registry.New(registry.Options{Insecure: insecure, Anonymous: !req.Credentials, UserAgent: "fnb/" + fnbVersion()}); err != nil {
					return err
				}
			}
			return g.checkStore(cmd.Context(), req)
		},
	}
	cmd.Flags().BoolVar(&images, "images", false, "ask registries for the images of functions, and compare")
	cmd.Flags().StringSliceVar(&insecure, "insecure-registry", nil, "speak plain HTTP to the registry `HOST` (repeatable)")
	cmd.Flags().BoolVar(&req.Credentials, "credentials", false, "send credentials to every repository and registry that a record names")
	cmd.Flags().StringVar(&req.Base, "base", "", "check what has changed since the git revision `REV`")
	cmd.Flags().StringArrayVar(&req.Authors, "author", nil, "who proposes the change, as namespaces name their owners: `WHO`; may be given more than once")
	return cmd
}

func (g *globals) checkStore(ctx context.Context, req store.CheckRequest) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	problems, err := st.Check(ctx, req)
	if err != nil {
		return fmt.Errorf("checking %s: %w", req.Dir, err)
	}
	return printProblems(g, "checking "+req.Dir, problems, func(p store.StoreProblem) templates.Severity { return p.Severity })
}
