package site

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/schema/languages"
)

//go:embed assets pages
var files embed.FS

// policy is the Content-Security-Policy of each page: nothing from elsewhere, and
// no script or style in the page itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'"

// A shell is what a page has around its content.
type shell struct {
	store     string // what it calls itself
	intro     string
	about     string // a line at the end
	static    bool
	templates *template.Template
	stamp     string // changes with the assets
}

func newShell(s shell) (*shell, error) {
	known := languages.ByWord()
	t, err := template.New("").Funcs(template.FuncMap{
		"size": size, "short": short,
		"hue": func(i Item) int { return i.hue(known) }, "glyph": func(i Item) string { return i.glyph(known) },
		"inc": func(n int) int { return n + 1 },
	}).ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, err
	}
	s.templates = t
	h := sha256.New()
	for _, name := range []string{"app.js", "style.css"} {
		data, err := files.ReadFile("assets/" + name)
		if err != nil {
			return nil, err
		}
		_, _ = h.Write(data) // a hash takes everything
	}
	s.stamp = hex.EncodeToString(h.Sum(nil)[:4])
	return &s, nil
}

// A page is what each template of a page is given.
type page struct {
	common
	Title, Summary, Heading, Text string
	Root                          string // of the site, from this page: "" or "../…"
	List                          bool
	Closed                        bool   // for those without the key: nothing but words
	Next                          string // where the browser goes by itself
	Kind                          string // which part of the site this is
}

// A common is what all pages of a site have.
type common struct {
	Store, About         string
	Policy, Stamp, Index string
	Static               bool
	Functions, Templates bool
	Shards               int
}

func (s *shell) page(c *catalogue, root string) page {
	return page{Root: root, common: common{
		Store: s.store, About: s.about, Policy: policy, Stamp: s.stamp, Index: c.stamp, Static: s.static,
		Functions: c.functions > 0, Templates: c.templates > 0, Shards: c.shards(),
	}}
}

func (s *shell) execute(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	err := s.templates.ExecuteTemplate(&b, name, data)
	return b.Bytes(), err
}

// A row is an entry of the list with the way to its page.
type row struct {
	Item
	Link  string
	Group string // the heading of those that begin here
}

// Day is when its version was published.
func (r row) Day() string { return r.Published.Format(time.DateOnly) }

type listPage struct {
	page
	Intro, Count, Why string
	Total             string
	Query             query
	Choices           []choice
	Rows              []row
	Pages             []pageLink
	Blank             row
	Topics            []option // what most entries are about; of the first page
	New               []row    // of the first page
}

// list renders one page of the list of those entries that a query asks for.
func (s *shell) list(c *catalogue, q query, number int, root string, link func(n int) string) ([]byte, error) {
	p := listPage{page: s.page(c, root), Intro: s.intro, Query: q, Total: thousands(len(c.items))}
	p.Title, p.Heading, p.Summary, p.List, p.Kind = s.store, s.heading(c), s.intro, true, q.Kind
	found := c.items
	if !q.Empty() {
		found = c.find(q)
	}
	for _, ch := range c.choices {
		ch.Value = map[string]string{"lang": q.Language, "tag": q.Tag, "platform": q.Platform}[ch.Name]
		p.Choices = append(p.Choices, ch)
	}
	last := pagesOf(len(found))
	from := (number - 1) * perPage
	was := ""
	for _, i := range found[min(from, len(found)):min(from+perPage, len(found))] {
		r := row{Item: i, Link: root + i.path()}
		if q.Empty() && c.grouped && i.Kind != was {
			was = i.Kind
			r.Group = map[string]string{KindFunction: "Functions", KindTemplate: "Templates"}[i.Kind]
		}
		p.Rows = append(p.Rows, r)
	}
	if q.Empty() && number == 1 {
		p.Topics = c.topics()
		for _, i := range c.newest() {
			p.New = append(p.New, row{Item: i, Link: root + i.path()})
		}
	}
	if number > 1 {
		p.Title = fmt.Sprintf("Page %d – %s", number, s.store)
	}
	p.Pages = pageLinks(number, last, link)
	p.Count = counted(len(found), q)
	if last > 1 {
		p.Count += fmt.Sprintf(", page %d of %d", number, last)
	}
	switch {
	case len(c.items) == 0:
		p.Why = "The store is empty."
	case q.Text != "":
		p.Why = "No entry has all of: " + q.Text + "."
	default:
		p.Why = "No entry has all of these properties."
	}
	return s.execute("list", p)
}

func pagesOf(n int) int { return max(1, (n+perPage-1)/perPage) }

func counted(n int, q query) string {
	one, many := "entry", "entries"
	if !q.Empty() {
		one, many = "match", "matches"
	}
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands writes a number with commas, as the page's script does.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func (s *shell) heading(c *catalogue) string {
	switch {
	case c.functions > 0 && c.templates > 0:
		return "Functions to run, templates to build your own"
	case c.functions > 0:
		return "Functions to run"
	}
	return "Templates to build functions with"
}

type detailPage struct {
	page
	Detail       Detail
	Icon         template.URL
	Here         string // the page itself
	Replacement  *row
	Sections     []Fact
	MoreVersions int
	Try          bool
	Token        string
	Request      schema.Example // in the form
	Methods      []string
	Answer       *Answer

	Markdown  func(text string) (template.HTML, error)
	Highlight func(file, text string) (template.HTML, error)
}

// Headers are those that the form has.
func (p detailPage) Headers() string { return headerLines(p.Request.Headers) }

// Method is the one that the form has.
func (p detailPage) Method() string { return cmp.Or(p.Request.Method, http.MethodPost) }

// An Answer is what a function that was tried has said.
type Answer struct {
	Line string // status and time, or what went wrong
	Body string
	Log  string
}

// detail renders the page of an entry, or returns the error of the context. The last
// argument has what belongs to trying it.
func (s *shell) detail(ctx context.Context, c *catalogue, d Detail, root string, try detailPage) ([]byte, error) {
	d = plainDetail(d)
	p := try
	p.Markdown = func(text string) (template.HTML, error) { return markdown(ctx, text) }
	p.Highlight = func(file, text string) (template.HTML, error) { return highlight(ctx, file, text) }
	p.page = s.page(c, root)
	p.Kind = d.Kind
	p.Try = try.Try && d.Runnable
	p.Icon = template.URL(icon(d.Icon)) //nolint:gosec // a picture that schema.ValidateIcon lets through
	p.Title = d.Name + " – " + s.store
	if p.Try {
		p.Here = root + d.path()
	}
	p.Summary = strings.TrimSpace(strings.Join([]string{d.Title, d.Description}, " "))
	if d.Deprecated != nil && d.Deprecated.Replacement != "" {
		r := Item{Kind: d.Kind, Name: d.Deprecated.Replacement}
		p.Replacement = &row{Item: r, Link: root + r.path()}
	}
	if more := len(d.Versions) - maxVersions; more > 0 {
		d.Versions, p.MoreVersions = d.Versions[:maxVersions], more
	}
	p.Detail = d
	for _, section := range []struct {
		name, id string
		has      bool
	}{
		{"Use it", "use", len(d.Commands) > 0},
		{"Try it", "try", p.Try},
		{"Examples", "examples", len(d.Examples) > 0},
		{"The four parts", "parts", len(d.Parts) > 0},
		{"How it runs", "settings", len(d.Settings) > 0},
		{"Deploy it", "deploy", len(d.Deploy) > 0},
		{"README", "readme", d.README != ""},
		{"Versions", "versions", len(d.Versions) > 0},
	} {
		if section.has {
			p.Sections = append(p.Sections, Fact{Name: section.name, Value: section.id})
		}
	}
	return s.execute("detail", p)
}

// gone renders a page that says what is not there.
func (s *shell) gone(c *catalogue, root, heading, text string) ([]byte, error) {
	p := s.page(c, root)
	p.Heading, p.Title, p.Text = heading, heading+" – "+s.store, plain.Visible(text)
	return s.execute("gone", p)
}
