// Package layers says what the layers of an image are there for: a [List] is read and written as the
// label of an image.
package layers

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fnb/schema/words"
)

// maxLayers is how many layers an image may have whose layers are described.
const maxLayers = 10_000

// A List says what the layers of an image are there for, from the lowest.
type List []Run

// A Run is some layers, one on top of the other, that are there for the same thing.
type Run struct {
	Role  string // such as [words.RoleBase]
	Count int
}

// With returns the layers with more on top.
func (l List) With(role string, count int) List {
	if count == 0 {
		return l
	}
	if last := len(l) - 1; last >= 0 && l[last].Role == role {
		l = slices.Clone(l)
		l[last].Count += count
		return l
	}
	return append(slices.Clip(l), Run{role, count})
}

// Len is how many layers there are.
func (l List) Len() int {
	n := 0
	for _, r := range l {
		n += r.Count
	}
	return n
}

// Top returns which layers are the upmost of a role: from one, up to and without another, by their
// places from 0. Both are 0 where there are none.
func (l List) Top(role string) (from, to int) {
	at := 0
	for _, r := range l {
		if r.Role == role {
			from, to = at, at+r.Count
		}
		at += r.Count
	}
	return from, to
}

// String writes the layers as the label [words.LabelLayers] has them: "base=4,handler=1".
func (l List) String() string {
	var parts []string
	for _, r := range l {
		parts = append(parts, r.Role+"="+strconv.Itoa(r.Count))
	}
	return strings.Join(parts, ",")
}

// Parse reads such a label.
func Parse(s string) (List, error) {
	var l List
	for part := range strings.SplitSeq(s, ",") {
		role, count, ok := strings.Cut(part, "=")
		n, err := strconv.Atoi(count)
		if !ok || err != nil || n < 1 || n > maxLayers || !slices.Contains(words.Roles(), role) || l.Len()+n > maxLayers {
			return nil, fmt.Errorf("%q does not say what layers are there for", s)
		}
		l = l.With(role, n)
	}
	return l, nil
}
