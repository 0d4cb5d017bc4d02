package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// What a document may hold. Real files are a hundredth of it; beyond it the
// YAML parser takes minutes, or all the memory there is.
const (
	MaxBytes  = 1 << 20
	maxTokens = 60_000
	maxDepth  = 64     // of flow collections, and of anchors, tags and dashes in a row
	maxIndent = 200    // columns
	maxKeys   = 2_000  // of one mapping, which the parser copies anew for each key
	maxValues = 50_000 // after aliases are followed
)

// ReadFile returns the contents of a file: of one that is larger than most bytes one
// byte more, which its parser refuses.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return data, nil
}

// parseDocument parses data, which holds one YAML document, and returns its
// value: nil for an empty document.
func parseDocument(file string, data []byte) (ast.Node, *FieldError) {
	if problem := checkText(data); problem != nil {
		problem.File = file
		return nil, problem
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	tokens := lexer.Tokenize(text)
	if problem := checkTokens(tokens); problem != nil {
		problem.File = file
		return nil, problem
	}
	tokens, problem := joinPlain(tokens)
	if problem != nil {
		problem.File = file
		return nil, problem
	}
	// Repeated keys are found by the reader, all of them at once.
	f, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxError(file, err)
	}
	var body ast.Node
	for _, doc := range f.Docs {
		switch doc.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.DirectiveNode:
			continue
		}
		if body != nil {
			at := position(doc.Body)
			return nil, &FieldError{File: file, Line: at.Line, Column: at.Column, Problem: "a second YAML document starts here; the file must hold one"}
		}
		body = doc.Body
	}
	return body, nil
}

// checkText refuses what YAML does not allow in a file.
func checkText(data []byte) *FieldError {
	if len(data) > MaxBytes {
		return &FieldError{Problem: fmt.Sprintf("the file is larger than %d bytes", MaxBytes)}
	}
	line, start := 1, 0
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		problem := ""
		switch {
		case r == utf8.RuneError && size == 1:
			problem = "the file is not UTF-8 text"
		case r == '\r' && !bytes.HasPrefix(data[i:], []byte("\r\n")):
			problem = "a carriage return stands without a newline"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			problem = fmt.Sprintf("the control character %U cannot stand in a YAML file", r)
		case r == '\ufeff' && i > 0:
			problem = "a byte order mark stands inside the file"
		}
		if problem != "" {
			return &FieldError{Line: line, Column: utf8.RuneCount(data[start:i]) + 1, Problem: problem}
		}
		i += size
		if r == '\n' {
			line, start = line+1, i
		}
	}
	return nil
}

// checkTokens refuses nesting that the parser, which is recursive, would not survive.
func checkTokens(tokens token.Tokens) *FieldError {
	if len(tokens) > maxTokens {
		return &FieldError{Problem: fmt.Sprintf("the file has more than %d words", maxTokens)}
	}
	depth, row, line := 0, 0, 0
	var open mappings
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		}
		switch t.Type {
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType, token.MappingValueType:
			row++
		case token.StringType: // the name of an anchor, or a key
		default:
			row = 0
		}
		if t.Position.Line != line {
			line, row = t.Position.Line, 0
			if t.Position.Column > maxIndent && depth == 0 && t.Type != token.CommentType {
				return &FieldError{Line: line, Column: t.Position.Column, Problem: fmt.Sprintf("the line is indented by more than %d spaces", maxIndent)}
			}
		}
		if depth > maxDepth || row > maxDepth {
			return &FieldError{Line: line, Column: t.Position.Column, Problem: "the document is nested too deeply"}
		}
		if depth == 0 && open.keys(t) > maxKeys {
			return &FieldError{Line: line, Column: open.column, Problem: fmt.Sprintf("the mapping has more than %d keys", maxKeys)}
		}
	}
	return nil
}

// mappings are those that are open at a token of a document, the outermost first.
type mappings struct {
	all    []mapping
	line   int // of the last token
	column int // of what its line begins with, dashes aside
}

type mapping struct{ column, keys int }

// keys takes the next token, and returns how many keys the mapping has by now that it
// is a key of; 0 for what is none.
func (m *mappings) keys(t *token.Token) int {
	dash := t.Type == token.SequenceEntryType
	if t.Position.Line != m.line {
		m.line, m.column = t.Position.Line, 0
	}
	if m.column == 0 && !dash {
		m.column = t.Position.Column
	}
	at := m.column
	if dash {
		at = t.Position.Column
	}
	isKey := t.Type == token.MappingValueType || t.Type == token.MappingKeyType
	if !isKey && !dash {
		return 0
	}
	for len(m.all) > 0 && m.all[len(m.all)-1].column > at {
		m.all = m.all[:len(m.all)-1]
	}
	if dash {
		return 0
	}
	if n := len(m.all); n == 0 || m.all[n-1].column < at {
		m.all = append(m.all, mapping{column: at})
	}
	m.all[len(m.all)-1].keys++
	return m.all[len(m.all)-1].keys
}

// syntaxError makes a FieldError of the parser's error.
func syntaxError(file string, err error) *FieldError {
	problem := &FieldError{File: file, Problem: "is not YAML"}
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		problem.Problem = "is not YAML: " + syntax.GetMessage()
		if t := syntax.GetToken(); t != nil && t.Position != nil {
			problem.Line, problem.Column = t.Position.Line, t.Position.Column
		}
	}
	return problem
}

// position returns where n starts.
func position(n ast.Node) *token.Position {
	switch x := n.(type) {
	case *ast.MappingNode:
		if !x.IsFlowStyle && len(x.Values) > 0 {
			return position(x.Values[0])
		}
	case *ast.MappingValueNode:
		return position(x.Key)
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position
	}
	return &token.Position{}
}
