package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// A section is a heading of a page with the text below it: what a search finds.
type section struct {
	id, title string
	text      strings.Builder
}

// collect adds the text of a node to the section that it is in. What each command has in common with
// all others is left out.
func (p *page) collect(n ast.Node, source []byte) {
	if len(p.sections) == 0 {
		return
	}
	s := &p.sections[len(p.sections)-1]
	if s.title == "SEE ALSO" || s.title == "Options inherited from parent commands" {
		return
	}
	switch n := n.(type) {
	case *ast.Text:
		if _, ok := n.Parent().(*ast.Heading); !ok {
			s.text.Write(n.Segment.Value(source))
			s.text.WriteByte(' ')
		}
	case *ast.FencedCodeBlock:
		s.text.Write(n.Lines().Value(source))
	case *ast.Paragraph:
		if s.text.Len() == 0 && p.summary == "" {
			p.summary = words(n, source)
		}
	}
}

// index is the script that gives the search all sections: page, heading, address and text.
func (s *site) index() ([]byte, error) {
	var rows [][4]string
	for _, p := range s.pages {
		for i := range p.sections {
			at, c := p.path, &p.sections[i]
			text := strings.Join(strings.Fields(c.text.String()), " ")
			if c.id != "" {
				at += "#" + c.id
			} else if text == "" {
				text = p.summary
			}
			rows = append(rows, [4]string{p.title, c.title, at, text})
		}
	}
	data, err := json.Marshal(rows)
	sum := sha256.Sum256(data)
	s.stamp = hex.EncodeToString(sum[:6])
	return []byte("fnbDocs(" + string(data) + ");\n"), err
}
