package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"fnb/store/owners"
)

func newTrustRemove(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "remove STORE/NAMESPACE",
		Short: "forget the owners of a namespace",
		Long: `Remove forgets whom this machine has seen as the owners of a namespace, and which keys were named for it. When the store is read the next time, the owners that it has then are taken as they are.

Do that only if you have asked the owners, and not in the store: who has taken the store over answers there.`,
		Example: "  # acme has lost its keys, and says so\n  fnb trust remove main/acme",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, ns, err := cutSpace(cmd, args[0])
			if err != nil {
				return err
			}
			return g.removeTrust(cmd.Context(), store, ns)
		},
	}
}

func (g *globals) removeTrust(ctx context.Context, name, ns string) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	c, err := st.Store(name)
	if err != nil {
		return err
	}
	return st.Memory().Change(ctx, c.URL, func(now owners.Remembered) (owners.Remembered, error) {
		if _, ok := now.Namespaces[ns]; !ok {
			return now, hint(fmt.Errorf("this machine knows no owners of the namespace %s in the store %s", ns, name), "see whom it knows with: fnb trust list")
		}
		delete(now.Namespaces, ns)
		return now, nil
	})
}
