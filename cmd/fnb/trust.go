package main

import (
	"strings"

	"github.com/spf13/cobra"

	"fnb/schema"
)

func newTrust(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "trust",
		Short: "know whose records this machine believes",
		Long: `Trust shows and changes whom this machine believes as the owners of a store's namespaces. A namespace that has keys accepts only records that one of them has signed.

The owners of a namespace are remembered when they are seen first. From then on they change only if they sign the change themselves. If you know a key before, name it with "fnb trust add". The owners themselves say who they are with "fnb store owners".`,
	})
	cmd.AddCommand(newTrustList(g), newTrustAdd(g), newTrustRemove(g))
	return cmd
}

// cutSpace splits STORE/NAMESPACE.
func cutSpace(cmd *cobra.Command, arg string) (store, ns string, err error) {
	store, ns, ok := strings.Cut(arg, "/")
	if !ok || schema.ValidateName(store) != nil || schema.ValidateName(ns) != nil {
		return "", "", usagef(cmd.CommandPath(), "%q is not STORE/NAMESPACE", arg)
	}
	return store, ns, nil
}
