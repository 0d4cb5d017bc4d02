package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
)

func newStoreCommand(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "store",
		Short: "find and publish functions, and say where they and templates are looked up",
		Long:  "Store finds functions that are published, shows how they are run, and publishes yours. It also says where templates and functions are looked up by namespace and name. A store is a git repository, or a folder, of records, one small file for each version, or the index of one at a server of files. OpenFaaS's templates.json and functions.json can be added as well. The functions that are part of fnb are there without any store.",
	})
	cmd.AddCommand(newStoreInit(g), newStoreAdd(g), newStoreRemove(g), newStoreUpdate(g), newStoreList(g), newStoreSearch(g), newStoreShow(g), newStoreTry(g), newStorePublish(g), newStoreYank(g), newStoreDeprecate(g), newStoreOwners(g), newStoreCheck(g), newStoreIndex(g), newStoreBrowse(g))
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

// completeStores lists stores for the shell.
func (g *globals) completeStores(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names offers
	if st, err := g.newStore(); err == nil {
		all, _ := st.Stores() // what cannot be read cannot be completed
		for _, c := range all {
			names.add(c.Name, c.URL)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
