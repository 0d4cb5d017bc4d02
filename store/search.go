package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"

	"fnb/internal/plain"
	"fnb/internal/spelling"
	"fnb/schema"
)

// How much a word of a search counts where it is found. A whole word counts more
// than the beginning of one, and that more than a part.
const (
	inName        = 100
	inLanguage    = 60
	inTags        = 50
	inDescription = 20
)

// A Match is a template or function that a search has found.
type Match struct {
	Entry
	Score int `json:"score"`
}

// Search returns the templates of [Finder.List] that have all words in their name,
// language, tags or description, the best first. A word that no template has
// stands for those that resemble it; the notes say so. Stores are asked where the
// cache is too old.
func (s *Finder) Search(ctx context.Context, words []string, scope Scope) ([]Match, []string, error) {
	notes, err := s.freshen(ctx)
	if err != nil {
		return nil, notes, err
	}
	entries, err := s.List(ctx, scope)
	if err != nil {
		return nil, notes, err
	}
	found, more := rank(entries, words)
	return found, append(notes, more...), ctx.Err()
}

// rank returns those entries that have all words, the best first.
func rank(entries []Entry, words []string) (found []Match, notes []string) {
	all := make([]searchText, len(entries))
	for i, e := range entries {
		all[i] = newSearched(e)
	}
	known := sync.OnceValue(func() []string { return vocabulary(all) })
	scores := make([]int, len(all))
	for _, word := range words {
		word = strings.ToLower(word)
		if word == "" {
			continue
		}
		one, any := scoreAll(all, word)
		if !any {
			near := spelling.Near(word, known())
			for _, n := range near {
				more, _ := scoreAll(all, n)
				for i := range one {
					one[i] = max(one[i], more[i]/2)
				}
			}
			if len(near) > 0 {
				notes = append(notes, fmt.Sprintf("nothing has %q; it was taken for %s", plain.Short(word), strings.Join(near, ", ")))
			}
		}
		for i := range scores {
			if one[i] == 0 || scores[i] < 0 {
				scores[i] = -1
			} else {
				scores[i] += one[i]
			}
		}
	}
	for i, e := range entries {
		if scores[i] >= 0 {
			found = append(found, Match{Entry: e, Score: scores[i]})
		}
	}
	slices.SortStableFunc(found, func(a, b Match) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Name, b.Name))
	})
	return found, notes
}

// freshen reads those stores anew of which the cache is too old. One that fails is
// a note.
func (s *Finder) freshen(ctx context.Context) (notes []string, err error) {
	all, err := s.Stores()
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		_, more, _, err := s.index(ctx, c)
		notes = append(notes, more...)
		if ctx.Err() != nil {
			return notes, ctx.Err()
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("store %s: %v", c.Name, err))
		}
	}
	return notes, nil
}

// A searchText is an entry in lower case, by fields.
type searchText struct {
	name, language, tags, description string
}

func newSearched(e Entry) searchText {
	return searchText{
		name: strings.ToLower(e.Name), language: strings.ToLower(e.Language),
		tags:        strings.ToLower(e.Tags + " " + strings.Join(e.Categories, " ")),
		description: strings.ToLower(e.Title + " " + e.Description),
	}
}

// scoreAll says how well each entry has a word, 0 for not at all.
func scoreAll(all []searchText, word string) (scores []int, any bool) {
	scores = make([]int, len(all))
	for i, e := range all {
		scores[i] = max(
			scoreField(e.name, word, inName), scoreField(e.language, word, inLanguage),
			scoreField(e.tags, word, inTags), scoreField(e.description, word, inDescription),
		)
		any = any || scores[i] > 0
	}
	return scores, any
}

func scoreField(field, word string, weight int) int {
	best := 0
	for at := 0; ; {
		i := strings.Index(field[at:], word)
		if i < 0 {
			return best
		}
		start, end := at+i, at+i+len(word)
		begins := start == 0 || isBreak(rune(field[start-1]))
		ends := end == len(field) || isBreak(rune(field[end]))
		switch {
		case len(word) == len(field):
			return weight + 10
		case begins && ends:
			best = max(best, weight)
		case begins:
			best = max(best, weight*6/10)
		default:
			best = max(best, weight*3/10)
		}
		at = start + 1
	}
}

func isBreak(r rune) bool {
	return r < 0x80 && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// vocabulary is every word that an entry has, without numbers.
func vocabulary(all []searchText) []string {
	words := map[string]bool{}
	for _, e := range all {
		for _, field := range []string{e.name, e.language, e.tags, e.description} {
			for _, w := range strings.FieldsFunc(field, func(r rune) bool { return !unicode.IsLetter(r) }) {
				words[w] = true
			}
		}
	}
	return slices.Collect(maps.Keys(words))
}

// Versions returns the versions that the stores have of the template that a
// reference names, the newest first, as the cache knows them; none where the
// template is not in a store.
func (s *Finder) Versions(ctx context.Context, ref string) ([]VersionEntry, error) {
	parsed, err := schema.ParseTemplateRef(ref)
	if err != nil || parsed.Kind != schema.RefName || parsed.Namespace == "" {
		return nil, err
	}
	l := &lookup{finder: s, kind: schema.KindTemplate, ref: ref, parsed: parsed}
	c, err := l.home(ctx)
	if err != nil {
		return nil, err
	}
	versions, err := l.versions(ctx, c, false)
	if err != nil {
		return nil, err
	}
	var all []VersionEntry
	for _, v := range slices.Backward(versions) {
		if v.OpenFaaS != nil {
			continue
		}
		e := VersionEntry{Version: v.Version, Commit: v.Source.Git.Commit, Checksum: v.Checksum}
		if v.Published != nil {
			e.Published = v.Published.UTC().Format("2006-01-02")
		}
		if v.Yanked != nil {
			e.Yanked = v.Yanked.Reason
		}
		all = append(all, e)
	}
	return all, nil
}

// A VersionEntry is one version of a template.
type VersionEntry struct {
	Version   string `json:"version"`
	Published string `json:"published,omitempty"` // the day
	Commit    string `json:"commit"`
	Checksum  string `json:"checksum"`
	Yanked    string `json:"yanked,omitempty"` // why it was withdrawn
}
