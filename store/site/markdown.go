package site

import (
	"bytes"
	"context"
	"html/template"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	tables "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// MaxREADME is how much of a README is shown.
const MaxREADME = 100_000

// markdown returns a README as HTML. HTML in it is shown as text, a picture as a
// link to it, and a link that is not to the web as its text. One that would take
// long to parse is shown as it is. The only error is that of the context.
func markdown(ctx context.Context, source string) (template.HTML, error) {
	source, _ = cut(source, MaxREADME)
	asItIs := template.HTML("<pre>" + template.HTMLEscapeString(source) + "</pre>") //nolint:gosec // it is escaped
	if err := ctx.Err(); err != nil || !isTame(source) {
		return asItIs, err
	}
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(harmless{}, 500))),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(asText{ctx}, 100))),
	)
	var out bytes.Buffer
	if err := md.Convert([]byte(source), &out); err != nil {
		return asItIs, ctx.Err()
	}
	return template.HTML(out.String()), nil //nolint:gosec // goldmark escapes, and raw HTML is text
}

// isTame reports whether a document is parsed in a time that grows with its length:
// quotes and lists are not nested deeply, no paragraph has very many links or words with
// emphasis, and no code is between very many backticks.
func isTame(source string) bool {
	if strings.Contains(source, strings.Repeat("`", 100)) {
		return false
	}
	brackets, emphasis := 0, 0
	for line := range strings.Lines(source) {
		if strings.TrimSpace(line) == "" {
			brackets, emphasis = 0, 0
		}
		brackets += strings.Count(line, "[")
		emphasis += emphases(line)
		if brackets > 1000 || emphasis > 2000 {
			return false
		}
		depth := 0
	markers:
		for i, c := range []byte(line) {
			switch {
			case c == '>', strings.IndexByte("-+*.)", c) >= 0 && i+1 < len(line) && line[i+1] == ' ':
				depth++
			case strings.IndexByte(" \t0123456789-+*", c) < 0:
				break markers
			}
			if depth > 40 {
				return false
			}
		}
	}
	return true
}

// emphases counts the runs of marks that may begin or end an emphasis. A _ inside a word
// is none.
func emphases(line string) int {
	n := 0
	for i := range len(line) {
		c, before := line[i], line[max(i-1, 0)]
		if c != '*' && c != '_' && c != '~' || i > 0 && c == before {
			continue
		}
		if c != '_' || i == 0 || i+1 == len(line) || !isWord(rune(before)) || !isWord(rune(line[i+1])) {
			n++
		}
	}
	return n
}

// harmless changes a parsed document: see [markdown].
type harmless struct{}

// Transform implements [parser.ASTTransformer].
func (harmless) Transform(doc *ast.Document, reader text.Reader, _ parser.Context) {
	var links []ast.Node
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the function has no error
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			n.Level = min(n.Level+2, 6) // below the page's own
		case *ast.Link, *ast.Image, *ast.AutoLink:
			links = append(links, n)
		}
		return ast.WalkContinue, nil
	})
	// From the innermost, so that a picture in a link is text before the link is.
	for i := len(links) - 1; i >= 0; i-- {
		replaceLink(links[i], reader.Source())
	}
}

func replaceLink(n ast.Node, source []byte) {
	parent := n.Parent()
	if parent == nil {
		return
	}
	to := ""
	switch n := n.(type) {
	case *ast.Link:
		to = string(n.Destination)
	case *ast.Image:
		to = string(n.Destination)
	case *ast.AutoLink:
		if to = string(n.URL(source)); n.AutoLinkType == ast.AutoLinkEmail {
			to = ""
		}
	}
	safe := webLink(to)
	if auto, ok := n.(*ast.AutoLink); ok {
		if safe == "" {
			parent.ReplaceChild(parent, n, ast.NewString(auto.Label(source)))
		} else {
			markLink(n)
		}
		return
	}
	inLink := false
	for p := parent; p != nil; p = p.Parent() {
		inLink = inLink || p.Kind() == ast.KindLink
	}
	if l, ok := n.(*ast.Link); ok && safe != "" {
		l.Title = nil
		markLink(l)
		return
	}
	// A picture becomes a link to it, or its text.
	if safe != "" && !inLink {
		link := ast.NewLink()
		link.Destination = []byte(safe)
		markLink(link)
		moveChildren(link, n)
		if link.ChildCount() == 0 {
			link.AppendChild(link, ast.NewString([]byte("picture")))
		}
		parent.ReplaceChild(parent, n, link)
		return
	}
	for c := n.FirstChild(); c != nil; {
		next := c.NextSibling()
		parent.InsertBefore(parent, n, c)
		c = next
	}
	parent.RemoveChild(parent, n)
}

func moveChildren(to, from ast.Node) {
	for c := from.FirstChild(); c != nil; {
		next := c.NextSibling()
		to.AppendChild(to, c)
		c = next
	}
}

func markLink(n ast.Node) { n.SetAttributeString("rel", []byte("nofollow noopener noreferrer")) }

// asText renders HTML in a document as the text that it is, tables so that everybody can read them, and ends with
// its context.
type asText struct {
	ctx context.Context //nolint:containedctx // lives as long as one document
}

// RegisterFuncs implements [renderer.NodeRenderer].
func (a asText) RegisterFuncs(reg renderer.NodeRendererFuncRegisterer) {
	reg.Register(ast.KindRawHTML, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if raw, ok := n.(*ast.RawHTML); ok && entering {
			writeText(w, source, raw.Segments)
		}
		return ast.WalkSkipChildren, nil
	})
	reg.Register(ast.KindHTMLBlock, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		block, ok := n.(*ast.HTMLBlock)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		_, _ = w.WriteString("<pre><code>") // kept by the writer, as are its errors
		writeText(w, source, block.Lines())
		if block.HasClosure() {
			template.HTMLEscape(w, block.ClosureLine.Value(source))
		}
		_, _ = w.WriteString("</code></pre>\n")
		return ast.WalkContinue, nil
	})
	registerTables(reg)
	reg.Register(ast.KindFencedCodeBlock, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		block, ok := n.(*ast.FencedCodeBlock)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		var code strings.Builder
		for i := range block.Lines().Len() {
			line := block.Lines().At(i)
			code.Write(line.Value(source))
		}
		language := string(block.Language(source))
		if alias, ok := map[string]string{"python": "py", "javascript": "js", "golang": "go", "console": "sh", "shell": "sh", "dockerfile": "dockerfile"}[strings.ToLower(language)]; ok {
			language = alias
		}
		painted, err := highlight(a.ctx, "x."+language, code.String())
		_, _ = w.WriteString(`<pre tabindex="0"><code>` + string(painted) + "</code></pre>\n")
		return ast.WalkSkipChildren, err
	})
}

// registerTables has a wide table scroll by itself, also by the keyboard, and lets no heading be empty, which a screen
// reader would announce.
func registerTables(reg renderer.NodeRendererFuncRegisterer) {
	put := func(before, after string) renderer.NodeRendererFunc {
		return func(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
			_, _ = w.WriteString(map[bool]string{true: before, false: after}[entering]) // kept by the writer, as are its errors
			return ast.WalkContinue, nil
		}
	}
	reg.Register(tables.KindTable, put(`<div class="table" tabindex="0"><table>`+"\n", "</tbody>\n</table></div>\n"))
	reg.Register(tables.KindTableRow, put("<tr>\n", "</tr>\n"))
	reg.Register(tables.KindTableHeader, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		named := false
		for c := n.FirstChild(); c != nil; c = c.NextSibling() {
			named = named || c.HasChildren()
		}
		if !named {
			_, _ = w.WriteString(map[bool]string{false: "<tbody>\n"}[entering])
			return ast.WalkSkipChildren, nil
		}
		return put("<thead>\n<tr>\n", "</tr>\n</thead>\n<tbody>\n")(w, source, n, entering)
	})
	reg.Register(tables.KindTableCell, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if n.Parent().Kind() == tables.KindTableHeader && n.HasChildren() {
			return put("<th>", "</th>\n")(w, source, n, entering)
		}
		return put("<td>", "</td>\n")(w, source, n, entering)
	})
}

func writeText(w util.BufWriter, source []byte, lines *text.Segments) {
	for i := range lines.Len() {
		line := lines.At(i)
		template.HTMLEscape(w, line.Value(source))
	}
}
