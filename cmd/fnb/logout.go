package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newLogout(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "logout HOST",
		Short:   "forget the credentials of a registry",
		Long:    "Logout takes a registry's credentials out of the credential helper or of Docker's config.json.",
		Example: "  fnb logout ghcr.io",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newRegistry(nil)
			if err != nil {
				return err
			}
			was, err := c.Logout(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("logging out of %s: %w", args[0], err)
			}
			if !was {
				fmt.Fprintf(g.err, "there were no credentials for %s\n", args[0])
				return nil
			}
			fmt.Fprintf(g.err, "logged out of %s\n", args[0])
			return nil
		},
	}
}
