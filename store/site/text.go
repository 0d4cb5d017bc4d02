package site

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"fnb/internal/plain"
)

// plainItem makes each text of an item plain.
func plainItem(i Item) Item {
	line := func(s string) string { return strings.Join(strings.Fields(plain.Visible(s)), " ") }
	i.Name, i.Version, i.Title, i.Description = line(i.Name), line(i.Version), line(i.Title), line(i.Description)
	i.Language, i.Store = line(i.Language), line(i.Store)
	i.Tags, i.Platforms = each(i.Tags, line), each(i.Platforms, line)
	return i
}

// plainDetail makes each text of a detail plain.
func plainDetail(d Detail) Detail {
	d.Item = plainItem(d.Item)
	facts := func(all []Fact) []Fact {
		return each(all, func(f Fact) Fact {
			return Fact{Name: plain.Visible(f.Name), Value: plain.Visible(f.Value), Link: webLink(f.Link), Code: f.Code}
		})
	}
	commands := func(all []Command) []Command {
		return each(all, func(c Command) Command { return Command{Title: plain.Visible(c.Title), Text: plain.Visible(c.Text)} })
	}
	if was := d.Deprecated; was != nil {
		now := *was
		now.Reason, now.Replacement = plain.Visible(was.Reason), plain.Visible(was.Replacement)
		d.Deprecated = &now
	}
	d.YankText, d.README = plain.Visible(d.YankText), plain.Visible(d.README)
	d.Notes = each(d.Notes, plain.Visible)
	d.Facts, d.Settings, d.Given = facts(d.Facts), facts(d.Settings), facts(d.Given)
	d.Commands, d.Deploy = commands(d.Commands), commands(d.Deploy)
	d.Parts = each(d.Parts, func(p Part) Part {
		return Part{Title: p.Title, What: p.What, Facts: facts(p.Facts), Files: each(p.Files, func(f File) File {
			return File{Path: plain.Visible(f.Path), Size: f.Size, Text: plain.Visible(f.Text), Note: plain.Visible(f.Note), Open: f.Open}
		})}
	})
	d.Examples = each(d.Examples, func(e Example) Example {
		return Example{Title: plain.Visible(e.Title), Request: plain.Visible(e.Request), Body: plain.Visible(e.Body), Status: plain.Visible(e.Status), Answer: plain.Visible(e.Answer), Send: e.Send}
	})
	d.Versions = each(d.Versions, func(v Version) Version {
		return Version{
			Version: plain.Visible(v.Version), Published: plain.Visible(v.Published), Digest: plain.Visible(v.Digest), Yanked: plain.Visible(v.Yanked), Refused: plain.Visible(v.Refused),
			Platforms: each(v.Platforms, func(p Platform) Platform { return Platform{Name: plain.Visible(p.Name), Size: p.Size} }),
		}
	})
	return d
}

func each[T any](all []T, f func(T) T) []T {
	out := make([]T, len(all))
	for i, v := range all {
		out[i] = f(v)
	}
	return out
}

// webLink returns a link that a browser may follow, or "".
func webLink(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// short is the beginning of a digest, which is told in full elsewhere.
func short(digest string) string {
	at := strings.LastIndexByte(digest, ':') + 1
	if len(digest)-at <= 16 {
		return digest
	}
	return digest[at:at+16] + "…"
}

// cut returns at most n bytes of a text, in whole characters, and whether it is less
// than all of it.
func cut(s string, n int) (string, bool) {
	if len(s) <= n {
		return s, false
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n], true
}
