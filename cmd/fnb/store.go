package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
)

func newStoreCommand(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "store",
		Short: "find and publish functions, and say where they and templates are looked up",
		Long:  "Store finds functions that are published, shows how they are run, and publishes yours. It also says where templates and functions are looked up by namespace and name: a store is a git repository, or a folder, of records, one small file for each version, or the index of one at a server of files. OpenFaaS's templates.json and functions.json can be added as well. The functions that are part of fnb are there without any store.",
	})
	cmd.AddCommand(newStoreAdd(g), newStoreRemove(g), newStoreUpdate(g), newStoreList(g), newStoreSearch(g), newStoreShow(g), newStoreTry(g), newStorePublish(g), newStoreYank(g), newStoreDeprecate(g), newStoreCheck(g), newStoreIndex(g), newStoreBrowse(g))
	return cmd
}

// storesFile is the file of the stores that the user has added.
func storesFile() (string, error) {
	dir, err := configDir()
	return filepath.Join(dir, "stores.json"), err
}

// tell prints notes.
func (g *globals) tell(notes []string) {
	for _, n := range notes {
		fmt.Fprintln(g.err, "fnb: note: "+plain.Line(n))
	}
}

func newStoreAdd(g *globals) *cobra.Command {
	var namespaces []string
	cmd := &cobra.Command{
		Use:   "add NAME URL|DIR",
		Short: "add a store",
		Long: `Add reads a store and keeps its name and address in fnb/stores.json below XDG_CONFIG_HOME. The namespaces of the store become its own, unless another store has them already: from then on what they have is looked up in this store and nowhere else. With --namespace only those become its own, whatever else it may get.

A store is the URL of a git repository (https, ssh, git, file), a folder, or the URL or file of OpenFaaS's templates.json or functions.json. The functions of such a list get the store's name as their namespace. It can also be an index, which fnb store index has made: the address of its folder at any server of files, with a slash at the end, or the folder itself. An index is read with one request, and only read; the files of templates still come from the repositories that its records name, and are compared with them. Credentials come from ssh-agent, FNB_GIT_TOKEN_HOST, netrc and git's credential helpers, and are never part of a URL.`,
		Example: "  # a team's store\n  fnb store add acme https://git.example.com/acme/store.git\n\n  # OpenFaaS's list\n  fnb store add openfaas https://example.com/openfaas/templates.json\n\n  # an index at a server of files\n  fnb store add world https://world.example.com/index/\n\n  # only one namespace of a large store\n  fnb store add world https://git.example.com/world/store.git --namespace web",
		Args:    exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.addStore(cmd.Context(), args[0], args[1], namespaces)
		},
	}
	cmd.Flags().StringArrayVar(&namespaces, "namespace", nil, "take only the namespace `NS` from the store; may be given more than once")
	return cmd
}

func (g *globals) addStore(ctx context.Context, name, url string, namespaces []string) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	c, notes, err := st.AddStore(ctx, name, url, namespaces)
	g.tell(notes)
	if err != nil {
		return fmt.Errorf("adding store %s: %w", name, err)
	}
	if g.json {
		return g.printJSON(c)
	}
	_, err = fmt.Fprintln(g.out, c.Name, plain.Line(c.URL), strings.Join(c.Namespaces, ","))
	return err
}

// completeStores lists stores for the shell.
func (g *globals) completeStores(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if st, err := g.newStore(); err == nil {
		all, _ := st.Stores() // what cannot be read cannot be completed
		for _, c := range all {
			names = append(names, c.Name+"\t"+plain.Line(c.URL))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func newStoreRemove(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:               "remove NAME",
		Short:             "forget a store",
		Long:              "Remove forgets a store, its namespaces and what the cache has of it. Templates that fnb.lock pins go on working while the cache has them.",
		Example:           "  # forget the store acme\n  fnb store remove acme",
		Args:              exactly(1),
		ValidArgsFunction: g.completeStores,
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := g.newStore()
			if err != nil {
				return err
			}
			return st.RemoveStore(cmd.Context(), args[0])
		},
	}
}

func newStoreUpdate(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:               "update [NAME…]",
		Short:             "read stores anew",
		Long:              "Update reads the stores with these names, or all, without waiting for the cache to become too old, which it does after five minutes. A store that has taken back or changed a version is an error, and the cache stays as it was.",
		Example:           "  # all stores\n  fnb store update",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: g.completeStores,
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := g.newStore()
			if err != nil {
				return err
			}
			notes, err := st.UpdateStores(cmd.Context(), args...)
			g.tell(notes)
			return err
		},
	}
}
