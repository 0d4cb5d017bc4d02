package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fnb/schema/ownership"
	"fnb/store/publish"
	"fnb/trust"
)

type ownersOptions struct {
	publish.OwnersChange
	add   []string
	roles []string
	until string
	keys  []string
}

func newStoreOwners(g *globals) *cobra.Command {
	o := &ownersOptions{}
	cmd := &cobra.Command{
		Use:   "owners NAMESPACE --store NAME",
		Short: "show or change the keys that sign in a namespace",
		Long: `Owners shows the keys of a namespace in a store: whose they are, what each may sign, and until when. A namespace that has keys accepts no record without a signature of one of them.

With --add, --remove or --threshold it makes the next owners. They must be signed by as many of the owners before as those demand, and by as many of the new ones as these do. The first owners vouch for the records that are there already. If a key is removed, the records that it has signed go on counting; with --distrust they do not.

If several people must sign, --draft keeps what lacks signatures in a folder. The next one signs it with --draft and --key, and the last one publishes it.`,
		Example: "  # begin: from now on only this key publishes in ann\n  fnb store owners ann --store ours --add ann=~/.ssh/id_ed25519.pub --key ~/.ssh/id_ed25519\n\n" +
			"  # a colleague may publish until the end of the year\n  fnb store owners ann --store ours --add bob=bob.pub --role publish --until 2027-12-31 --key ~/.ssh/id_ed25519",
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Namespace = args[0]
			if o.Store == "" {
				return usagef(cmd.CommandPath(), "--store is missing")
			}
			return g.storeOwners(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Store, "store", "", "in the store `NAME`")
	f.StringArrayVar(&o.add, "add", nil, "add the public key `[WHO=]KEY`, or give one that is there other roles (repeatable)")
	f.StringArrayVar(&o.roles, "role", nil, "what the added keys may sign, `ROLE`: "+strings.Join(ownership.Roles(), ", ")+" (repeatable; default all)")
	f.StringVar(&o.until, "until", "", "the last `DAY` on which the added keys may sign, such as 2027-12-31")
	f.StringArrayVar(&o.Remove, "remove", nil, "take away the key of `WHO`, by name or fingerprint (repeatable)")
	f.BoolVar(&o.Distrust, "distrust", false, "do not vouch for what the removed keys have signed")
	f.IntVar(&o.Threshold, "threshold", 0, "how many owners must sign the next change, `N` (default as before, or 1)")
	f.StringArrayVar(&o.keys, "key", nil, "sign with `KEY`: "+trust.Forms+" (repeatable; default sign.records of the settings)")
	f.StringVar(&o.Draft, "draft", "", "keep what lacks signatures in `DIR`, or sign what is there")
	f.BoolVar(&o.Propose, "pr", false, "push a branch of its own instead, and print where to propose it")
	_ = cmd.RegisterFlagCompletionFunc("store", g.completeStores) // the flag exists
	return cmd
}

func (g *globals) storeOwners(cmd *cobra.Command, o *ownersOptions) error {
	ctx := cmd.Context()
	st, err := g.newStore()
	if err != nil {
		return err
	}
	if len(o.add) == 0 && len(o.Remove) == 0 && o.Threshold == 0 && o.Draft == "" {
		chain, err := publish.OwnersOf(ctx, st, o.Store, o.Namespace)
		if err != nil {
			return err
		}
		if chain == nil {
			return hint(fmt.Errorf("the namespace %s has no keys in the store %s", o.Namespace, o.Store), "begin with: "+beginOwners(o.Store, o.Namespace))
		}
		return g.printOwners(chain.Owners)
	}
	if err := g.addedKeys(cmd, o); err != nil {
		return err
	}
	for _, key := range o.keys {
		k, err := g.openKey(ctx, key, keyFlags{})
		if err != nil {
			return err
		}
		defer func() { _ = k.Close() }() // it has signed
		o.Keys = append(o.Keys, k)
	}
	if len(o.keys) == 0 {
		if err := g.keyOfSettings(ctx, o); err != nil {
			return err
		}
	}
	out, err := publish.ChangeOwners(ctx, st, o.OwnersChange)
	if err != nil {
		return fmt.Errorf("changing the owners of %s: %w", o.Namespace, err)
	}
	return g.printChangedOwners(out)
}
