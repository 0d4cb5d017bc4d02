package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/trust"
)

func newKeyNew(g *globals) *cobra.Command {
	var o keyFlags
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "make a key pair",
		Long: `New makes a key pair, ECDSA over P-256, as cosign's generate-key-pair does. The private half is encrypted with a password that is asked for, or read from standard input with --key-password-stdin; an empty one means none.

The pair is kept as NAME.key and NAME.pub in the folder keys of fnb's data folder. Its name is then what --key takes. The fingerprint is printed.`,
		Example: "  # a key, and an image that is signed with it\n  fnb key new release\n  fnb sign ghcr.io/acme/hello:1.2.0 --key release",
		Args:    exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if !trust.ValidName(args[0]) {
				return usagef("fnb key new", "%s: a key's name has letters, digits, dots, hyphens and underscores, 64 at most", plain.Quoted(args[0]))
			}
			dir, err := keysDir()
			if err != nil {
				return err
			}
			password, err := g.newPassword(o, args[0])
			if err != nil {
				return err
			}
			key, err := trust.NewKey(dir, args[0], password)
			if errors.Is(err, fs.ErrExist) {
				return hint(fmt.Errorf("the key %s is there already", args[0]), "see it with: fnb key list")
			}
			if err != nil {
				return err
			}
			return g.printKeys([]trust.NamedKey{{Name: args[0], Public: key, Private: true}})
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}
