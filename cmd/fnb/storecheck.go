package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/disk"
	"fnb/registry"
	"fnb/store/publish"
	"fnb/templates"
)

func newStoreCheck(g *globals) *cobra.Command {
	req, images := publish.CheckRequest{}, false
	var insecure, reports []string
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "check a store, or a change to it",
		Long: `Check is for those who run a store, before a change is merged. It reads the store in DIR (default the working directory) as HEAD has it, and reports every file that is not what it should be. It reports every record whose template cannot be fetched, has another checksum, or does not pass lint. With --images it also reports records of functions whose image is not in its registry with the digests, sizes and platforms that they say.

With --base only the records that are new since then are fetched. Versions that were changed or taken back are errors. So are changes in a namespace if no --author is one of its owners, as the base has them. Warnings are for a person to look at and do not change the exit code.

Whoever proposes a change chooses the addresses in it. So credentials are sent only to repositories that records of the base name already. Of such a private repository no more is told than that something is wrong. Registries are asked without credentials. No host is asked that is nearer than the store's repository, such as this machine if that is public; FNB_PRIVATE_HOSTS names exceptions. --credentials sends them everywhere: use it if everybody who can propose a change may read what they open.

--report writes for the CI of the store what is to become of the change. The decision is merge if nothing is wrong, the author owns the namespaces that the change touches, and it touches nothing but records. Who owns a namespace is for a person to change. It is refuse if there is an error, and else review: a person must look at it. With labels and a comment in Markdown, a bot can do the rest.`,
		Example: "  # in a store's CI, for a proposed change\n  fnb store check --base origin/main --author ann@example.com\n\n" +
			"  # with what a bot needs to merge, label and comment\n  fnb store check --base origin/main --author ann@example.com --report gate.json --report gate.md",
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
				req.Registries = &registry.Options{Insecure: insecure, UserAgent: userAgent()}
			}
			return g.checkStore(cmd.Context(), req, reports)
		},
	}
	cmd.Flags().BoolVar(&images, "images", false, "ask registries for the images of functions, and compare")
	addInsecureFlag(cmd.Flags(), &insecure)
	cmd.Flags().BoolVar(&req.Credentials, "credentials", false, "send credentials to every repository and registry that a record names")
	cmd.Flags().StringArrayVar(&reports, "report", nil, "write the decision, its reasons and labels for the change to `FILE`: Markdown if it ends in .md, else JSON; may be given more than once")
	cmd.Flags().StringVar(&req.Base, "base", "", "check what has changed since the git revision `REV`")
	cmd.Flags().StringArrayVar(&req.Authors, "author", nil, "who proposes the change, as namespaces name their owners: `WHO`; may be given more than once")
	return cmd
}

func (g *globals) checkStore(ctx context.Context, req publish.CheckRequest, reports []string) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	verdict, err := publish.Check(ctx, st, req)
	if err != nil {
		return fmt.Errorf("checking %s: %w", req.Dir, err)
	}
	for _, file := range reports {
		if err := writeVerdict(file, verdict); err != nil {
			return err
		}
	}
	return printProblems(g, "checking "+req.Dir, verdict.Problems, func(p publish.Problem) templates.Severity { return p.Severity })
}

// writeVerdict writes what becomes of a change, for programs or for people.
func writeVerdict(file string, v publish.Verdict) error {
	text := []byte(v.Markdown())
	if !strings.HasSuffix(file, ".md") {
		var err error
		if text, err = json.MarshalIndent(v, "", "  "); err != nil {
			return err
		}
	}
	return disk.ReplaceFile(file, append(bytes.TrimRight(text, "\n"), '\n'), 0o644)
}
