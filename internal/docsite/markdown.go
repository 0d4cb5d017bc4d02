package main

import (
	"bytes"
	"html/template"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// A heading is one of a page's.
type heading struct{ ID, Title string }

// parse reads a document into its page.
func (s *site) parse(p *page, source []byte) error {
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(codeBlocks{}, 100))),
	)
	doc := md.Parser().Parse(text.NewReader(source))
	part := ""
	var nowhere []ast.Node // links to folders of the checkout, which the site does not have
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			part = p.begin(n, source)
		case *ast.Link:
			to, err := s.target(p, string(n.Destination))
			if err != nil {
				return ast.WalkStop, err
			}
			if to == "" {
				nowhere = append(nowhere, n)
			}
			if p.path == "index.html" && strings.HasSuffix(strings.SplitN(to, "#", 2)[0], ".html") && !strings.Contains(to, "://") {
				p.links = append(p.links, link{part, words(n, source), to})
			}
			n.Destination = []byte(to)
		case *ast.Image:
			to, err := s.target(p, string(n.Destination))
			if err != nil {
				return ast.WalkStop, err
			}
			n.Destination = []byte(to)
		}
		p.collect(n, source)
		return ast.WalkContinue, nil
	})
	if err != nil {
		return err
	}
	for _, n := range nowhere {
		for c := n.FirstChild(); c != nil; c = n.FirstChild() {
			n.Parent().InsertBefore(n.Parent(), n, c)
		}
		n.Parent().RemoveChild(n.Parent(), n)
	}
	var b bytes.Buffer
	if err := md.Renderer().Render(&b, source, doc); err != nil {
		return err
	}
	// A wide table scrolls by itself, also by the keyboard, and a heading without words is none.
	html := strings.NewReplacer("<table>", `<div class="table" tabindex="0"><table>`, "</table>", "</table></div>", "<th></th>", "<td></td>").Replace(b.String())
	p.html = template.HTML(html) //nolint:gosec // goldmark escapes, and leaves HTML out
	return nil
}

// begin begins a section of a page with its heading, and returns the heading's words.
func (p *page) begin(n *ast.Heading, source []byte) string {
	title, id := words(n, source), ""
	if v, ok := n.AttributeString("id"); ok {
		if b, ok := v.([]byte); ok {
			id = string(b)
		}
	}
	switch {
	case path.Dir(p.source) == "docs/reference" && n.Level == 2: // a page of a command begins there
		n.Level, p.title, id = 1, title, ""
	case path.Dir(p.source) == "docs/reference":
		n.Level--
		p.onPage = append(p.onPage, heading{id, title})
	case n.Level == 1:
		p.title, id = title, ""
	case n.Level == 2:
		p.onPage = append(p.onPage, heading{id, title})
	}
	p.sections = append(p.sections, section{id: id, title: title})
	return title
}

// target is where a link of a page leads on the site; "" if it is a folder of the checkout.
func (s *site) target(p *page, to string) (string, error) {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Path == "" {
		return to, err
	}
	source := path.Join(path.Dir(p.source), u.Path)
	at := pathOf(source)
	if path.Ext(source) != ".md" {
		if info, err := fs.Stat(s.root, source); err != nil || info.IsDir() {
			return "", err
		}
		if at = "files/" + source; strings.HasPrefix(source, "docs/") {
			at = strings.TrimPrefix(source, "docs/")
		}
		s.files[source] = at
	}
	at = strings.Repeat("../", strings.Count(p.path, "/")) + at
	if u.Fragment != "" {
		at += "#" + u.Fragment
	}
	return at, nil
}

// words are what a reader sees of a node.
func words(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the function has no error
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
			if t.SoftLineBreak() {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// codeBlocks renders code so that the keyboard can scroll it. Of a console the commands can be
// copied, without the prompts and what they print.
type codeBlocks struct{}

// RegisterFuncs implements [renderer.NodeRenderer].
func (codeBlocks) RegisterFuncs(reg renderer.NodeRendererFuncRegisterer) {
	reg.Register(ast.KindFencedCodeBlock, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		block, ok := n.(*ast.FencedCodeBlock)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		_, _ = w.WriteString(codeBlock(block, source)) // kept by the writer, as are its errors
		return ast.WalkSkipChildren, nil
	})
}

func codeBlock(block *ast.FencedCodeBlock, source []byte) string {
	info := ""
	if block.Info != nil {
		info = string(block.Info.Segment.Value(source))
	}
	kind, file, _ := strings.Cut(info, " ")
	var code, commands strings.Builder
	for i := range block.Lines().Len() {
		at := block.Lines().At(i)
		line := strings.TrimSuffix(string(at.Value(source)), "\n")
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			code.WriteString(`<span class="a">$</span> <b>` + template.HTMLEscapeString(command) + "</b>\n")
			commands.WriteString(command + "\n")
		} else {
			code.WriteString(template.HTMLEscapeString(line) + "\n")
		}
	}
	copied := commands.String()
	if copied == "" && kind != "" {
		copied = string(block.Lines().Value(source))
	}
	out := `<div class="code">`
	if file != "" && kind != "console" {
		out += `<p class="label">` + fileLabel(file) + "</p>"
	}
	out += `<pre tabindex="0"><code>` + code.String() + "</code></pre>"
	if copied != "" {
		out += `<button type="button" class="take needs-js" data-text="` + template.HTMLEscapeString(copied) + `">Copy</button>`
	}
	return out + "</div>\n"
}

// fileLabel says which file a block is, or is added to.
func fileLabel(file string) string {
	name, added := strings.CutPrefix(file, ">>")
	label := "<code>" + template.HTMLEscapeString(name) + "</code>"
	if added {
		label += ", added"
	}
	return label
}
