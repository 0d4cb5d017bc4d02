package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"fnb/schema/words"
)

// LabelChanges are what the labels of an image that somebody else built tell of what has changed, in
// words, against the labels and the base images that it would get now.
func LabelChanges(was, labels, bases map[string]string) []string {
	now := maps.Clone(labels)
	for _, ref := range slices.Sorted(maps.Keys(bases)) {
		if ref == was[words.LabelBaseName] {
			now[words.LabelBaseName], now[words.LabelBaseDigest] = ref, bases[ref]
		}
	}
	out := []string{"the inputs changed; another machine made the image, and its labels say only this"}
	for _, name := range []string{words.LabelTemplate, words.LabelTemplateChecksum, words.LabelWatchdog, words.LabelBaseName, words.LabelBaseDigest} {
		if was[name] != now[name] {
			out = append(out, fmt.Sprintf("changed: %s, from %s to %s", name, orNone(was[name]), orNone(now[name])))
		}
	}
	return out
}

func orNone(s string) string { return cmp.Or(s, "none") }
