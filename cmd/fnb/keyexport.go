package main

import (
	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/trust"
)

func newKeyExport(g *globals) *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:   "export KEY",
		Short: "print the public half of a key",
		Long: `Export prints the public half of a key, for those who verify. KEY is whatever --key takes: ` + trust.Forms + `.

With --format pem it is what openssl takes, and with --format ssh a line of OpenSSH's.`,
		Example: "  # let others verify\n  fnb key export ~/.ssh/id_ed25519 >acme.pub\n  fnb verify --key acme.pub ghcr.io/acme/hello:1.2.0",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := g.keyOptions(keyFlags{})
			if err != nil {
				return err
			}
			keys, err := trust.OpenPublic(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			for _, k := range keys {
				text := []byte(k.String() + "\n")
				switch format {
				case "pem":
					if text, err = k.PEM(); err != nil {
						return hint(err, "write it for OpenSSH: fnb key export "+plain.ShellWord(args[0])+" --format ssh")
					}
				case "ssh":
				default:
					return usagef("fnb key export", "--format %q: it must be pem or ssh", format)
				}
				if _, err := g.out.Write(text); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "pem", "print it as `FORMAT`: pem or ssh")
	return cmd
}
