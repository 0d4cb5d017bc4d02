package sbom

import (
	"cmp"
	"slices"
	"strings"
)

// A Move is a package whose versions are others.
type Move struct {
	Ecosystem string `json:"ecosystem,omitempty"` // without the release of a distribution
	Name      string `json:"name"`
	From      string `json:"from,omitempty"` // versions, with commas between several; "" is none
	To        string `json:"to,omitempty"`   // the same
}

// named is a package without its version.
type named struct{ ecosystem, name string }

// Moves are the packages that two lists do not have in the same versions, sorted by ecosystem and name. The release of a
// distribution is left out, so that its packages are compared with those of the next.
func Moves(was, is []Package) (out []Move) {
	before, after := versions(was), versions(is)
	for n, from := range before {
		if to := after[n]; from != to {
			out = append(out, Move{Ecosystem: n.ecosystem, Name: n.name, From: from, To: to})
		}
	}
	for n, to := range after {
		if _, ok := before[n]; !ok {
			out = append(out, Move{Ecosystem: n.ecosystem, Name: n.name, To: to})
		}
	}
	slices.SortFunc(out, func(a, b Move) int {
		return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name))
	})
	return out
}

// versions are those of each package, with commas between several.
func versions(all []Package) map[named]string {
	lists := map[named][]string{}
	for _, p := range all {
		ecosystem, _, _ := strings.Cut(p.Ecosystem, ":")
		n := named{ecosystem, p.Name}
		if v := cmp.Or(p.Version, "?"); !slices.Contains(lists[n], v) {
			lists[n] = append(lists[n], v)
		}
	}
	out := map[named]string{}
	for n, list := range lists {
		slices.Sort(list)
		out[n] = strings.Join(list, ", ")
	}
	return out
}
