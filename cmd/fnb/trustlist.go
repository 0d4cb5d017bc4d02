package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fnb/schema/ownership"
	"fnb/trust"
)

// A trustedKey is a key that this machine believes for a namespace.
type trustedKey struct {
	Store     string     `json:"store"`
	Namespace string     `json:"namespace"`
	Number    int        `json:"number"` // of the owners that were seen last; 0 before any were
	Name      string     `json:"name,omitempty"`
	Key       string     `json:"key"` // fingerprint, or OIDC subject
	Roles     []string   `json:"roles,omitempty"`
	Until     *time.Time `json:"until,omitempty"`
	Since     time.Time  `json:"since,omitzero"`
	Pinned    bool       `json:"pinned,omitempty"` // by fnb trust add
}

func newTrustList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "list the keys that this machine believes, by namespace",
		Long:    "List prints the keys of the owners that this machine has seen for each namespace, what each may sign, until when, and since when the namespace is known. A key that \"fnb trust add\" named is there as well.",
		Example: "  # as a table, or for a program\n  fnb trust list\n  fnb trust list --json",
		Args:    exactly(0),
		RunE:    func(*cobra.Command, []string) error { return g.listTrust() },
	}
}

func (g *globals) listTrust() error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	stores, err := st.Stores()
	if err != nil {
		return err
	}
	all := []trustedKey{}
	for _, c := range stores {
		known, err := st.Memory().Of(c.URL)
		if err != nil {
			return err
		}
		for _, ns := range slices.Sorted(maps.Keys(known.Namespaces)) {
			k := known.Namespaces[ns]
			for _, key := range k.Keys {
				row := trustedKey{Store: c.Name, Namespace: ns, Number: k.Number, Name: key.Name, Key: keyName(key), Roles: key.Roles, Until: key.Until, Since: k.Since}
				row.Pinned = slices.Contains(k.Pinned, row.Key)
				all = append(all, row)
			}
			for _, pinned := range k.Pinned {
				if !slices.ContainsFunc(all, func(o trustedKey) bool { return o.Store == c.Name && o.Namespace == ns && o.Key == pinned }) {
					all = append(all, trustedKey{Store: c.Name, Namespace: ns, Number: k.Number, Key: pinned, Pinned: true})
				}
			}
		}
	}
	if g.json {
		return g.printJSON(all)
	}
	out := bufio.NewWriter(g.out) // as in printMatches
	tw := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "NAMESPACE\tOWNERS\tNAME\tKEY\tROLES\tUNTIL\tSINCE")
	for _, k := range all {
		since := day(&k.Since)
		if k.Number == 0 {
			since = "named"
		}
		fmt.Fprintf(tw, "%s/%s\t%d\t%s\t%s\t%s\t%s\t%s\n", column(k.Store), column(k.Namespace), k.Number, column(k.Name), column(k.Key), column(strings.Join(k.Roles, ",")), day(k.Until), since)
	}
	return errors.Join(tw.Flush(), out.Flush())
}

// keyName is a key's fingerprint, or the subject that stands in its place.
func keyName(k ownership.Key) string {
	if k.OIDC != nil {
		return k.OIDC.String()
	}
	pub, err := trust.ParsePublicKey([]byte(k.Key))
	if err != nil {
		return "a key that cannot be read"
	}
	return pub.Fingerprint()
}

// day is a day; "-" for none.
func day(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}
