package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"fnb/store/owners"
	"fnb/trust"
)

func newTrustAdd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "add STORE/NAMESPACE KEY…",
		Short: "say which key must have signed the owners of a namespace",
		Long: `Add names a key that you know from elsewhere, such as from a colleague or a web page. The owners that the store has for the namespace are believed only if one of the keys that you name has signed them. A namespace that has no keys is refused then, too.

KEY is a file with a public key, the line itself ("ssh-ed25519 AAAA…"), or whatever --key takes.`,
		Example:           "  # before the first template of acme is used\n  fnb trust add main/acme acme.pub",
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, ns, err := cutSpace(cmd, args[0])
			if err != nil {
				return err
			}
			return g.addTrust(cmd.Context(), store, ns, args[1:])
		},
	}
}

func (g *globals) addTrust(ctx context.Context, name, ns string, keys []string) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	c, err := st.Store(name)
	if err != nil {
		return err
	}
	o, err := g.keyOptions(keyFlags{})
	if err != nil {
		return err
	}
	var fingerprints []string
	for _, key := range keys {
		found, err := trust.OpenPublic(ctx, key, o)
		if err != nil {
			return err
		}
		for _, k := range found {
			fingerprints = append(fingerprints, k.Fingerprint())
		}
	}
	err = st.Memory().Change(ctx, c.URL, func(now owners.Remembered) (owners.Remembered, error) {
		if now.Namespaces == nil {
			now.Namespaces = map[string]owners.Known{}
		}
		k := now.Namespaces[ns]
		k.Pinned = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(k.Pinned), fingerprints...))))
		now.Namespaces[ns] = k
		return now, nil
	})
	if err != nil {
		return err
	}
	for _, fp := range fingerprints {
		if _, err := fmt.Fprintln(g.out, name+"/"+ns, fp); err != nil {
			return err
		}
	}
	return nil
}
