package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"fnb/internal/plain"
	"fnb/schema/ownership"
	"fnb/store/publish"
)

// beginOwners is what gives a namespace its first key.
func beginOwners(store, ns string) string {
	return "fnb store owners " + ns + " --store " + store + " --add WHO=KEY.pub --key KEY"
}

// printOwners prints the keys of a namespace.
func (g *globals) printOwners(o ownership.Owners) error {
	if g.json {
		return g.printJSON(o)
	}
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tKEY\tROLES\tUNTIL")
	for _, k := range o.Keys {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", column(k.Name), column(keyName(k)), column(strings.Join(k.Roles, ",")), day(k.Until))
	}
	return tw.Flush()
}

// printChangedOwners prints what came of a change of owners.
func (g *globals) printChangedOwners(out publish.ChangedOwners) error {
	if g.json {
		return g.printJSON(out)
	}
	if out.Draft != "" {
		g.tell([]string{fmt.Sprintf("it is not published yet: %s; the next one signs with: fnb store owners %s --store %s --draft %s --key KEY", out.Missing, out.Name, out.Store, plain.ShellWord(strings.TrimSuffix(out.Draft, "/"+out.Version+".json")))})
		_, err := fmt.Fprintln(g.out, plain.Line(out.Draft))
		return err
	}
	if out.Vouched > 0 {
		g.tell([]string{fmt.Sprintf("the owners vouch for %s that none of their keys has signed", plain.Count(out.Vouched, "record", "records"))})
	}
	_, err := fmt.Fprintln(g.out, out.Name, out.Version, strings.Join(out.Signers, " "))
	if err == nil && out.Branch != "" {
		where := out.Compare
		if where == "" {
			where = "branch " + out.Branch
		}
		_, err = fmt.Fprintln(g.out, plain.Line(where))
	}
	return err
}
