package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed assets
var files embed.FS

// A site is all documents, and what they show or lead to.
type site struct {
	root  fs.FS // of the checkout
	pages []*page
	menu  []menuPart
	files map[string]string // where a file of the checkout is on the site, by its path there
	stamp string            // of the search's index
}

// A page is a document.
type page struct {
	source   string // below the root of the checkout
	path     string // on the site
	title    string
	summary  string
	html     template.HTML
	onPage   []heading // of the second level
	sections []section // what the search finds
	links    []link    // of the menu, if it is index.md
}

// A menuPart is a heading of index.md with the links below it.
type menuPart struct {
	Title string
	Links []link
}

type link struct{ part, Title, path string }

// read reads the documents of a checkout.
func read(root fs.FS) (*site, error) {
	s := &site{root: root, files: map[string]string{}}
	sources, err := documents(root)
	if err != nil {
		return nil, err
	}
	for _, source := range sources {
		data, err := fs.ReadFile(root, source)
		if err != nil {
			return nil, err
		}
		p := &page{source: source, path: pathOf(source)}
		if err := s.parse(p, data); err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		s.pages = append(s.pages, p)
	}
	home := slices.IndexFunc(s.pages, func(p *page) bool { return p.path == "index.html" })
	if home < 0 {
		return nil, fmt.Errorf("docs/index.md: %w", fs.ErrNotExist)
	}
	for _, l := range s.pages[home].links {
		if n := len(s.menu); n == 0 || s.menu[n-1].Title != l.part {
			s.menu = append(s.menu, menuPart{Title: l.part})
		}
		part := &s.menu[len(s.menu)-1]
		part.Links = append(part.Links, l)
	}
	return s, nil
}

// documents are the paths of all documents, in the order of a search's findings.
func documents(root fs.FS) ([]string, error) {
	var all []string
	for _, pattern := range []string{"docs/*.md", "docs/howto/*.md", "*.md", "docs/reference/*.md"} {
		some, err := fs.Glob(root, pattern)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// pathOf is where a document is on the site: what is in docs at its root, and what is at
// the root of the checkout in a folder.
func pathOf(source string) string {
	below, ok := strings.CutPrefix(source, "docs/")
	if !ok {
		below = "project/" + source
	}
	return strings.TrimSuffix(below, ".md") + ".html"
}

// manPage is a command's man page, which is generated with its page of the reference, and where it is on the site.
func manPage(p *page) (source, to string) {
	if path.Dir(p.source) != "docs/reference" {
		return "", ""
	}
	name := strings.ReplaceAll(strings.TrimSuffix(path.Base(p.source), ".md"), "_", "-") + ".1"
	return "docs/man/" + name, "man/" + name
}

// A view is what the layout shows.
type view struct {
	Source, Title, Summary, Root, Stamp, Policy string
	Man                                         string // where the man page is, below Root
	HTML                                        template.HTML
	OnPage                                      []heading
	Menu                                        []viewPart
}

type viewPart struct {
	Title string
	Links []viewLink
}

type viewLink struct {
	Title, To string
	Here      bool
}

// policy lets a page load nothing from elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"

func (s *site) view(p *page) view {
	up := strings.Repeat("../", strings.Count(p.path, "/"))
	v := view{Source: p.source, Title: p.title, Summary: p.summary, Root: up, Stamp: s.stamp, Policy: policy, HTML: p.html, OnPage: p.onPage}
	_, v.Man = manPage(p)
	for _, part := range s.menu {
		of := viewPart{Title: part.Title}
		for _, l := range part.Links {
			here := l.path == p.path || l.path == "reference/fnb.html" && path.Dir(p.path) == "reference"
			of.Links = append(of.Links, viewLink{l.Title, up + l.path, here})
		}
		v.Menu = append(v.Menu, of)
	}
	return v
}

// write writes the site into a folder.
func (s *site) write(dir string) error {
	index, err := s.index()
	if err != nil {
		return err
	}
	if err := put(dir, "assets/search.js", index); err != nil {
		return err
	}
	layout, err := template.ParseFS(files, "assets/layout.html")
	if err != nil {
		return err
	}
	for _, p := range s.pages {
		var b bytes.Buffer
		if err := layout.Execute(&b, s.view(p)); err != nil {
			return err
		}
		if err := put(dir, p.path, b.Bytes()); err != nil {
			return err
		}
	}
	for _, name := range []string{"docs.css", "docs.js"} {
		data, err := files.ReadFile("assets/" + name)
		if err != nil {
			return err
		}
		if err := put(dir, "assets/"+name, data); err != nil {
			return err
		}
	}
	// The page of a store and these have one look.
	for _, name := range []string{"app.js", "style.css", "icon.svg"} {
		s.files["store/site/assets/"+name] = "assets/" + name
	}
	for _, p := range s.pages {
		if source, to := manPage(p); source != "" {
			s.files[source] = to
		}
	}
	for from, to := range s.files {
		data, err := fs.ReadFile(s.root, from)
		if err != nil {
			return err
		}
		if err := put(dir, to, data); err != nil {
			return err
		}
	}
	return nil
}

func put(dir, name string, data []byte) error {
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}
