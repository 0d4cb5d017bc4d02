package effects

import (
	"cmp"
	"slices"
	"strings"

	"fnb/sbom"
)

// A Move is a package whose versions in images are others.
type Move struct {
	sbom.Move
	Functions []string
}

// Moves are the packages that are not what they were, in the order of their names, each once.
func (c *Change) Moves() []Move {
	var all []Move
	seen := map[sbom.Move]int{}
	for _, f := range c.Functions {
		if f.Before == nil || f.After == nil {
			continue
		}
		for _, m := range sbom.Moves(f.Before.Packages, f.After.Packages) {
			at, ok := seen[m]
			if !ok {
				at, seen[m] = len(all), len(all)
				all = append(all, Move{Move: m})
			}
			all[at].Functions = append(all[at].Functions, f.Name)
		}
	}
	slices.SortStableFunc(all, func(a, b Move) int {
		return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name), strings.Compare(a.From, b.From))
	})
	return all
}
