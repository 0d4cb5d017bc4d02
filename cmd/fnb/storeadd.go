package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
)

func newStoreAdd(g *globals) *cobra.Command {
	var namespaces []string
	cmd := &cobra.Command{
		Use:   "add NAME URL|DIR",
		Short: "add a store",
		Long: `Add reads a store and keeps its name and address in fnb/stores.json below XDG_CONFIG_HOME. The namespaces of the store become its own, unless another store has them already: from then on what they have is looked up in this store and nowhere else. With --namespace only those become its own, whatever else it may get.

A store is the URL of a git repository (https, ssh, git, file), a folder, or the URL or file of OpenFaaS's templates.json or functions.json. The functions of such a list get the store's name as their namespace. It can also be an index, which fnb store index has made. Name the address of its folder at any server of files, with a slash at the end, or the folder itself. An index is read with one request, and only read; the files of templates still come from the repositories that its records name, and are compared with them. Credentials come from ssh-agent, FNB_GIT_TOKEN_HOST, netrc and git's credential helpers, and are never part of a URL.`,
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
