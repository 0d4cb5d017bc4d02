package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fnb/trust"
)

func newKeyList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "list the keys that fnb has made",
		Long:    "List prints the keys in fnb's data folder: name, fingerprint and kind. Those whose private half is not there can verify, and sign nothing.",
		Example: "  fnb key list",
		Args:    exactly(0),
		RunE: func(*cobra.Command, []string) error {
			dir, err := keysDir()
			if err != nil {
				return err
			}
			keys, err := trust.Keys(dir)
			if err != nil {
				return err
			}
			return g.printKeys(keys)
		},
	}
}

// printKeys prints keys, a line for each.
func (g *globals) printKeys(keys []trust.NamedKey) error {
	if g.json {
		type key struct {
			Name        string `json:"name"`
			Fingerprint string `json:"fingerprint"`
			Type        string `json:"type"`
			Public      string `json:"public"`
			Private     bool   `json:"private"`
		}
		out := []key{}
		for _, k := range keys {
			out = append(out, key{k.Name, k.Public.Fingerprint(), k.Public.Type(), k.Public.String(), k.Private})
		}
		return g.printIndented(out)
	}
	w := tabwriter.NewWriter(g.out, 0, 0, 2, ' ', 0)
	for _, k := range keys {
		only := ""
		if !k.Private {
			only = "\tpublic half only"
		}
		fmt.Fprintf(w, "%s\t%s\t%s%s\n", column(k.Name), k.Public.Fingerprint(), column(k.Public.Type()), only)
	}
	return w.Flush()
}
