package site

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"fnb/internal/plain"
	"fnb/schema/languages"
)

const (
	perPage  = 50
	perShard = 1000
	// maxOptions is how many values a filter offers at most: the most frequent.
	maxOptions = 60
	maxTopics  = 14
	maxNew     = 6
)

// A query says which entries are asked for.
type query struct{ Text, Kind, Language, Tag, Platform string }

func parseQuery(v url.Values) query {
	text, _ := cut(strings.Join(strings.Fields(plain.Visible(v.Get("q"))), " "), 200)
	return query{Text: text, Kind: v.Get("kind"), Language: v.Get("lang"), Tag: v.Get("tag"), Platform: v.Get("platform")}
}

// Empty reports whether everything is asked for.
func (q query) Empty() bool { return q == query{} }

func (q query) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"q": q.Text, "kind": q.Kind, "lang": q.Language, "tag": q.Tag, "platform": q.Platform} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// A catalogue is the list of a store, ready to be shown.
type catalogue struct {
	items     []Item
	functions int
	templates int
	choices   []choice
	grouped   bool   // all of one kind stand together
	stamp     string // changes with the items
}

// A choice is a filter.
type choice struct {
	Name, Label, All, Value string
	Options                 []option
}

type option struct {
	Value string
	Count int
}

func newCatalogue(items []Item) *catalogue {
	c := &catalogue{items: each(items, plainItem)}
	langs, tags, platforms := map[string]int{}, map[string]int{}, map[string]int{}
	changes := 0
	for n, i := range c.items {
		if n > 0 && i.Kind != c.items[n-1].Kind {
			changes++
		}
		if i.Kind == KindFunction {
			c.functions++
		} else {
			c.templates++
		}
		if i.Language != "" {
			langs[i.Language]++
		}
		for _, t := range i.Tags {
			tags[t]++
		}
		for _, p := range i.Platforms {
			platforms[p]++
		}
	}
	for _, f := range []struct {
		name, label, all string
		counts           map[string]int
	}{
		{"lang", "Language", "Any language", langs},
		{"tag", "Category", "Any category", tags},
		{"platform", "Platform", "Any platform", platforms},
	} {
		if len(f.counts) > 0 {
			c.choices = append(c.choices, choice{Name: f.name, Label: f.label, All: f.all, Options: options(f.counts)})
		}
	}
	c.grouped = changes == 1
	h := fnv.New64a()
	for n := range c.shards() {
		_, _ = h.Write(c.shard(n)) // a hash takes everything
	}
	c.stamp = strconv.FormatUint(h.Sum64(), 36)
	return c
}

// has reports whether there is such an entry. Nothing else is looked up for a
// browser.
func (c *catalogue) has(kind, name string) bool {
	return slices.ContainsFunc(c.items, func(i Item) bool { return i.Kind == kind && i.Name == name })
}

// options are the most frequent values, by name.
func options(counts map[string]int) []option {
	var all []option
	for v, n := range counts {
		all = append(all, option{v, n})
	}
	slices.SortFunc(all, func(a, b option) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	all = all[:min(len(all), maxOptions)]
	slices.SortFunc(all, func(a, b option) int { return cmp.Compare(a.Value, b.Value) })
	return all
}

// topics are the categories that most entries have, by name; none if there are few.
func (c *catalogue) topics() []option {
	for _, ch := range c.choices {
		if ch.Name == "tag" && len(ch.Options) > 2 {
			all := slices.Clone(ch.Options)
			slices.SortStableFunc(all, func(a, b option) int { return cmp.Compare(b.Count, a.Count) })
			all = all[:min(len(all), maxTopics)]
			slices.SortFunc(all, func(a, b option) int { return cmp.Compare(a.Value, b.Value) })
			return all
		}
	}
	return nil
}

// newest are the entries that were published last.
func (c *catalogue) newest() []Item {
	var all []Item
	for _, i := range c.items {
		if !i.Published.IsZero() && i.Mark == "" {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b Item) int { return b.Published.Compare(a.Published) })
	return all[:min(len(all), maxNew)]
}

func (c *catalogue) shards() int { return (len(c.items) + perShard - 1) / perShard }

// shard is a part of the list as a script, which a page can load from anywhere,
// also from a folder.
func (c *catalogue) shard(n int) []byte {
	rows := [][]any{}
	known := languages.ByWord()
	for _, i := range c.items[n*perShard : min(len(c.items), (n+1)*perShard)] {
		rows = append(rows, []any{
			i.Kind[:1], i.Name, i.Version, i.Title, i.Description, i.Language,
			append([]string{}, i.Tags...), append([]string{}, i.Platforms...), i.Mark, i.hue(known), i.glyph(known),
		})
	}
	data, err := json.Marshal(rows) // with < > & escaped
	if err != nil {
		data = []byte("[]") // plain strings and numbers never fail
	}
	return fmt.Appendf(nil, "fnbShard(%d,%s)\n", n, data)
}

// find returns the entries that are asked for, the best first.
func (c *catalogue) find(q query) []Item {
	words := strings.Fields(strings.ToLower(q.Text))
	type scored struct {
		Item
		score int
	}
	var found []scored
	for _, i := range c.items {
		if q.Kind != "" && i.Kind != q.Kind || q.Language != "" && i.Language != q.Language ||
			q.Tag != "" && !slices.Contains(i.Tags, q.Tag) ||
			q.Platform != "" && len(i.Platforms) > 0 && !slices.Contains(i.Platforms, q.Platform) {
			continue
		}
		if sum, ok := scoreItem(i, words); ok {
			found = append(found, scored{i, sum})
		}
	}
	if len(words) > 0 {
		slices.SortStableFunc(found, func(a, b scored) int {
			return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.Name, b.Name))
		})
	}
	out := make([]Item, len(found))
	for n, f := range found {
		out[n] = f.Item
	}
	return out
}

// scoreItem says how well an entry has all the words. The page's script counts in
// the same way.
func scoreItem(i Item, words []string) (sum int, ok bool) {
	fields := []struct {
		text   string
		weight int
	}{{i.Name, 100}, {i.Language, 60}, {strings.Join(i.Tags, " "), 50}, {i.Title, 40}, {i.Description, 20}}
	for _, w := range words {
		best := 0
		for _, f := range fields {
			best = max(best, scoreField(strings.ToLower(f.text), w, f.weight))
		}
		if best == 0 {
			return 0, false
		}
		sum += best
	}
	return sum, true
}

func scoreField(field, word string, weight int) int {
	best := 0
	for at := 0; ; at++ {
		n := strings.Index(field[at:], word)
		if n < 0 {
			return best
		}
		at += n
		end := at + len(word)
		begins := at == 0 || isBreak(field[at-1])
		ends := end == len(field) || isBreak(field[end])
		switch {
		case len(word) == len(field):
			return weight + 10
		case begins && ends:
			return weight
		case begins:
			best = max(best, weight*6/10)
		default:
			best = max(best, weight*3/10)
		}
	}
}

func isBreak(c byte) bool {
	return c < 0x80 && !unicode.IsLetter(rune(c)) && !unicode.IsDigit(rune(c))
}

// A pageLink is one entry of the list of pages.
type pageLink struct {
	Number int
	Link   string
	Here   bool
	Gap    bool
}

// pageLinks are the first, the last and the pages around this one, of all.
func pageLinks(here, all int, link func(n int) string) []pageLink {
	if all < 2 {
		return nil
	}
	var links []pageLink
	last := 0
	for n := 1; n <= all; n++ {
		if n != 1 && n != all && (n < here-2 || n > here+2) {
			continue
		}
		if n > last+1 {
			links = append(links, pageLink{Gap: true})
		}
		last = n
		links = append(links, pageLink{Number: n, Link: link(n), Here: n == here})
	}
	return links
}
