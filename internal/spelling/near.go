// Package spelling finds the word that was probably meant where another one stands: [Near].
package spelling

import (
	"cmp"
	"slices"
	"strings"
)

// Near returns those of the known words that word was probably meant to be, at
// most three, the nearest first; none where nothing is near. Upper and lower
// case, and - and _, count as equal. A word that is known is near itself.
func Near(word string, known []string) []string {
	type candidate struct {
		word     string
		distance int
	}
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "_", "-") }
	w := plain(word)
	if w == "" || len(w) > 100 {
		return nil
	}
	limit := 1 + min(len(w)/4, 2)
	var found []candidate
	for _, k := range known {
		if len(k) > len(w)+limit || len(k) < len(w)-limit {
			continue
		}
		if d := editDistance(w, plain(k)); d <= limit {
			found = append(found, candidate{k, d})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.word, b.word))
	})
	var words []string
	for _, c := range slices.CompactFunc(found, func(a, b candidate) bool { return a.word == b.word }) {
		if len(words) < 3 {
			words = append(words, c.word)
		}
	}
	return words
}

// editDistance returns how many letters have to be added, removed, replaced or
// swapped with their neighbour to make b of a, no letter being touched twice
// (Damerau and Levenshtein's distance, restricted).
func editDistance(a, b string) int {
	previous, row := make([]int, len(b)+1), make([]int, len(b)+1)
	var beforePrevious []int
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		beforePrevious, previous, row = previous, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := 1
			if a[i-1] == b[j-1] {
				replace = 0
			}
			row[j] = min(previous[j]+1, row[j-1]+1, previous[j-1]+replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], beforePrevious[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

// Nearest returns the first of [Near], or "".
func Nearest(word string, known []string) string {
	if words := Near(word, known); len(words) > 0 {
		return words[0]
	}
	return ""
}
