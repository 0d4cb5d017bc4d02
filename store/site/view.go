package site

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"fnb/schema"
	"fnb/schema/languages"
)

// The kinds of an [Item].
const (
	KindTemplate = "template"
	KindFunction = "function"
)

// A Source has what a page shows.
type Source interface {
	// Items returns all entries, by name.
	Items(ctx context.Context) ([]Item, error)
	// Detail returns one entry. If there is none, the error wraps [fs.ErrNotExist].
	Detail(ctx context.Context, kind, name string) (Detail, error)
}

// An Item is one entry of the list.
type Item struct {
	Kind        string // KindTemplate or KindFunction
	Name        string // namespace/name, or a name
	Version     string
	Title       string
	Description string
	Language    string
	Tags        []string
	Platforms   []string // none means any
	Store       string
	Mark        string    // "deprecated", "yanked" or ""
	Published   time.Time // of its version; zero if nobody has said it
}

// A Detail is all that the page of an entry shows.
type Detail struct {
	Item
	Retired
	Runnable  bool   // a function with an image, which can be tried
	Icon      string // a picture as a data: URL; all else is not shown
	Notes     []string
	Facts     []Fact
	Commands  []Command // to copy
	Parts     []Part    // a template's four
	Settings  []Fact    // how a function runs
	Deploy    []Command // a function's resources
	Examples  []Example
	Given     []Fact    // to a function, for its examples alone
	Versions  []Version // the newest first
	README    string    // Markdown
	READMECut bool      // it goes on
}

// Retired says why something is not to be used any more. The zero value says that it is.
type Retired struct {
	Deprecated *schema.Deprecation
	YankText   string // why no version is to be used
}

// A Fact is one property. Its link, if any, has to be http or https, or is left out.
type Fact struct {
	Name, Value, Link string
	Code              bool
}

// A Command is a text to copy.
type Command struct{ Title, Text string }

// A Part is one of the four parts of a template.
type Part struct {
	Title, What string
	Facts       []Fact
	Files       []File
}

// A File is a file of a template.
type File struct {
	Path string
	Size int64
	Text string // "" where the file is not text
	Note string // what is not shown
	Open bool   // it is shown at once
}

// An Example is a request to a function and what it answers.
type Example struct {
	Title, Request, Body, Status, Answer string

	Send schema.Example // to try it
}

// A Version is one version of an entry.
type Version struct {
	Version, Published, Digest, Yanked string
	Refused                            string // why it is not signed as it must be
	Platforms                          []Platform
}

// A Platform is what a version has for one platform.
type Platform struct {
	Name string
	Size int64 // 0 where it is not known
}

// Namespace is the part of the name before the slash.
func (i Item) Namespace() string {
	ns, _, ok := strings.Cut(i.Name, "/")
	if !ok {
		return ""
	}
	return ns
}

// Own is the name without the namespace.
func (i Item) Own() string {
	_, own, ok := strings.Cut(i.Name, "/")
	if !ok {
		return i.Name
	}
	return own
}

// path is where the entry's page is, from the root.
func (i Item) path() string {
	ns := i.Namespace()
	if ns == "" {
		ns = "-" // which is no namespace
	}
	return i.Kind[:1] + "/" + ns + "/" + i.Own() + ".html"
}

// parsePath returns the kind and name of which a path is the page.
func parsePath(p string) (kind, name string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	if len(parts) != 3 {
		return "", "", false
	}
	own, isPage := strings.CutSuffix(parts[2], ".html")
	kind = map[string]string{"t": KindTemplate, "f": KindFunction}[parts[0]]
	name = parts[1] + "/" + own
	if parts[1] == "-" {
		name = own
	}
	return kind, name, isPage && kind != "" && own != "" && parts[1] != ""
}

// hue is a colour for the entry: the same for the same language.
func (i Item) hue(known languages.Lookup) int {
	if l, ok := known(i.Language); ok && l.Hue > 0 {
		return l.Hue - 1
	}
	sum := 0
	for _, c := range []byte(strings.ToLower(i.Language)) {
		sum = sum*31 + int(c)
	}
	return (sum%8 + 8) % 8
}

// glyph is one or two letters that stand for the entry's language.
func (i Item) glyph(known languages.Lookup) string {
	word := i.Language
	if word == "" {
		word = i.Own()
	}
	if l, ok := known(word); ok {
		return l.Glyph
	}
	r, n := utf8.DecodeRuneInString(word)
	if n == 0 {
		return "·"
	}
	next, m := utf8.DecodeRuneInString(word[n:])
	if m == 0 {
		return strings.ToUpper(string(r))
	}
	return strings.ToUpper(string(r)) + strings.ToLower(string(next))
}

// Text says what the entry is, in the list.
func (i Item) Text() string {
	if i.Title == "" || i.Description == "" {
		return i.Title + i.Description
	}
	return i.Title + ": " + i.Description
}

// Line is what the list says below the description.
func (i Item) Line() string {
	var platforms []string
	for _, p := range i.Platforms {
		platforms = append(platforms, strings.TrimPrefix(p, "linux/"))
	}
	var parts []string
	for _, s := range []string{i.Kind, i.Language, strings.Join(platforms, " "), strings.Join(i.Tags, " ")} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " · ")
}
