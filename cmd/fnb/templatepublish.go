package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/store/publish"
)

func newTemplatePublish(g *globals) *cobra.Command {
	p, key := publish.Publication{}, ""
	cmd := &cobra.Command{
		Use:   "publish DIR --store NAME",
		Short: "publish a version of a template in a store",
		Long: `Publish records a version of the template in DIR in a store that was added. The store gets a small record. The files stay in the git repository that DIR is in, at the commit that is checked out. That commit must be pushed: publish fetches it as anybody would and compares. Lint may find no error.

Many can publish at the same time: where somebody else was faster, publish begins anew. A version that is there already with the same files is a success; with other files it is an error, and nothing is overwritten. With --pr a branch is pushed for somebody to merge, and the page to ask for that is printed.

If the namespace has keys ("fnb store owners"), the record is signed with --key.`,
		Example: "  # version 1.2.0 as acme/go in the store acme\n  fnb template publish ./template/go --store acme --name acme/go --version 1.2.0\n\n  # propose it instead\n  fnb template publish ./template/go --store acme --name acme/go --version 1.2.0 --pr",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Dir = args[0]
			return g.publishTemplate(cmd.Context(), p, key)
		},
	}
	g.addPublishFlags(cmd, publishFlags{
		what: "template", of: "the folder", manifest: "template.yml",
		store: &p.Store, name: &p.Name, version: &p.Version, source: &p.Source, fnb: &p.FNB, tags: &p.Tags, propose: &p.Propose,
	})
	addRecordKeyFlag(cmd, &key)
	return cmd
}

func (g *globals) publishTemplate(ctx context.Context, p publish.Publication, key string) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	if p.Signing, err = g.signing(key); err != nil {
		return err
	}
	out, err := publish.Template(ctx, st, p)
	if err != nil {
		return fmt.Errorf("publishing %s: %w", p.Dir, err)
	}
	if g.json {
		return g.printJSON(out)
	}
	return g.printPublished(out)
}

// publishFlags are the flags that publishing a template and a function share.
type publishFlags struct {
	what, of, manifest                string // template or function, whose name it gets by itself, and the file with its version
	store, name, version, source, fnb *string
	tags                              *[]string
	propose                           *bool
}

func (g *globals) addPublishFlags(cmd *cobra.Command, p publishFlags) {
	f := cmd.Flags()
	f.StringVar(p.store, "store", "", "publish in the store `NAME`")
	f.StringVar(p.name, "name", "", "publish as `NAMESPACE/NAME` (default "+p.of+"'s name in the store's only namespace)")
	f.StringVar(p.version, "version", "", "publish as the version `V`, if "+p.manifest+" says none (default what it says)")
	f.StringVar(p.source, "source", "", "the `URL` from which others fetch the "+p.what+"'s repository (default its remote origin)")
	f.StringVar(p.fnb, "fnb-range", "", "the SemVer `RANGE` of the fnb that the "+p.what+" needs")
	f.StringArrayVar(p.tags, "tag", nil, "a word `TAG` for searches, kept with the first version; may be given more than once")
	f.BoolVar(p.propose, "pr", false, "push a branch of its own instead, and print where to propose it")
	_ = cmd.RegisterFlagCompletionFunc("store", g.completeStores) // the flag exists
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if *p.store == "" {
			return usagef(cmd.CommandPath(), "--store is missing")
		}
		return nil
	}
}

// printPublished prints what was published, and where to propose it.
func (g *globals) printPublished(out publish.Published) error {
	if out.Already {
		g.tell([]string{fmt.Sprintf("the store %s had %s %s already, and the same", out.Store, out.Name, out.Version)})
	}
	_, err := fmt.Fprintln(g.out, out.Name, out.Version, out.Checksum)
	if err == nil && out.Branch != "" && !out.Already {
		where := out.Compare
		if where == "" {
			where = "branch " + out.Branch
		}
		_, err = fmt.Fprintln(g.out, plain.Line(where))
	}
	return err
}
