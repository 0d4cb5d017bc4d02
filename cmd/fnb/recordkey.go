package main

import (
	"context"

	"github.com/spf13/cobra"

	"fnb/store/publish"
	"fnb/trust"
)

// addRecordKeyFlag adds the flag for the key that what gets into a store is signed with.
func addRecordKeyFlag(cmd *cobra.Command, key *string) {
	cmd.Flags().StringVar(key, "key", "", "sign with `KEY`, which the namespace has: "+trust.Forms+" (default sign.records of the settings)")
}

// signing is how what gets into a store is signed: with the key of the command line, or else with
// that of the settings.
func (g *globals) signing(key string) (publish.Signing, error) {
	s := publish.Signing{Must: key != ""}
	if key == "" {
		cfg, err := g.config()
		if err != nil {
			return s, err
		}
		key = cfg.Sign.Records
	}
	if key != "" {
		s.Open = func(ctx context.Context) (*trust.Signer, error) { return g.openKey(ctx, key, keyFlags{}) }
	}
	return s, nil
}
