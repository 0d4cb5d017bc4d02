package document

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// An Editor makes the text of a document with something added.
type Editor struct {
	Text  string
	lines []string // of text, each with its line end
	eol   string
	bom   bool
}

// NewEditor returns an editor of the document data.
func NewEditor(data []byte) *Editor {
	e := &Editor{Text: strings.TrimPrefix(string(data), "\ufeff"), bom: len(data) > 2 && data[0] == 0xef, eol: "\n"}
	if i := strings.IndexByte(e.Text, '\n'); i > 0 && e.Text[i-1] == '\r' {
		e.eol = "\r\n"
	}
	e.lines = strings.SplitAfter(e.Text, "\n")
	return e
}

// First returns the first of the texts that is as it should be.
func (e *Editor) First(candidates []string, verify func([]byte) error) ([]byte, error) {
	err := errors.New("there is no place for it")
	for _, text := range candidates {
		if e.bom {
			text = "\ufeff" + text
		}
		if err = verify([]byte(text)); err == nil {
			return []byte(text), nil
		}
	}
	return nil, err
}

// Candidates returns the texts, the likeliest first, of which one may be the document
// with entry added to the mapping below the key section.
func (e *Editor) Candidates(root ast.Node, section string, entry Pair) ([]string, error) {
	whole := Pair{section, []Pair{entry}}
	if root == nil {
		return []string{e.insert(len(e.lines), e.block([]Pair{whole}, 0, 2))}, nil
	}
	top, ok := mappingValues(root)
	if !ok {
		return nil, errors.New("the document is not a mapping")
	}
	flow, isFlow := root.(*ast.MappingNode)
	isFlow = isFlow && flow.IsFlowStyle
	i := slices.IndexFunc(top, func(n *ast.MappingValueNode) bool { return keyText(n) == section })
	switch {
	case i < 0 && isFlow:
		return e.insertFlow(flow.End, len(flow.Values) == 0, Flow([]Pair{whole}))
	case i < 0:
		column := position(top[0].Key).Column - 1
		lines := e.block([]Pair{whole}, column, 2)
		end := e.documentEnd(position(top[len(top)-1].Key).Line)
		return []string{e.insert(e.beforeSpace(end, column), lines), e.insert(end, lines)}, nil
	}
	return e.into(top[i], isFlow, e.after(top, i), entry)
}

// after returns the index of the line behind what the i-th key of a mapping has.
func (e *Editor) after(keys []*ast.MappingValueNode, i int) int {
	if i+1 < len(keys) {
		return position(keys[i+1].Key).Line - 1
	}
	return e.documentEnd(position(keys[i].Key).Line)
}

// into adds entry to the value of the key section, which ends before the line with
// index next.
func (e *Editor) into(section *ast.MappingValueNode, inFlow bool, next int, entry Pair) ([]string, error) {
	node := section.Value
	if anchor, ok := node.(*ast.AnchorNode); ok {
		node = anchor.Value
	}
	column := position(section.Key).Column - 1
	if null, ok := node.(*ast.NullNode); ok {
		return e.replaceNull(section, null, inFlow, column, entry)
	}
	values, ok := mappingValues(node)
	if !ok {
		return nil, fmt.Errorf("its %s are not written as a mapping", keyText(section))
	}
	if m, ok := node.(*ast.MappingNode); ok && m.IsFlowStyle {
		texts, err := e.insertFlow(m.End, len(values) == 0, Flow([]Pair{entry}))
		if len(values) == 0 && !inFlow {
			if block, ok := e.replaceEmpty(m, column, entry); ok {
				texts = append([]string{block}, texts...)
			}
		}
		return texts, err
	}
	child := position(values[0].Key).Column - 1
	lines := e.block([]Pair{entry}, child, max(child-column, 2))
	at := e.beforeSpace(next, child)
	if n := len(values); n > 1 && e.isBlank(position(values[n-1].Key).Line-2) {
		lines = append([]string{e.eol}, lines...)
	}
	return []string{e.insert(at, lines), e.insert(next, lines)}, nil
}

// block returns lines of YAML, indented by column.
func (e *Editor) block(pairs []Pair, column, step int) []string {
	lines := Block(pairs, step)
	for i, line := range lines {
		lines[i] = strings.Repeat(" ", column) + line + e.eol
	}
	return lines
}

// insert returns the text with lines before the line with index at.
func (e *Editor) insert(at int, lines []string) string {
	before := strings.Join(e.lines[:at], "")
	if before != "" && !strings.HasSuffix(before, "\n") {
		before += e.eol
	}
	return before + strings.Join(lines, "") + strings.Join(e.lines[at:], "")
}

// documentEnd returns the index of the line that ends the document which has
// something on the line numbered from.
func (e *Editor) documentEnd(from int) int {
	for i := from; i < len(e.lines); i++ {
		if line := strings.TrimRight(e.lines[i], "\r\n"); line == "..." || line == "---" ||
			strings.HasPrefix(line, "... ") || strings.HasPrefix(line, "--- ") {
			return i
		}
	}
	return len(e.lines)
}

func (e *Editor) isBlank(i int) bool {
	return i >= 0 && i < len(e.lines) && strings.TrimSpace(e.lines[i]) == ""
}

// beforeSpace returns the index behind the last line before index next that
// belongs to a mapping whose keys stand at column: not blank, and not a comment
// further left.
func (e *Editor) beforeSpace(next, column int) int {
	for next > 0 {
		line := e.lines[next-1]
		text := strings.TrimLeft(line, " ")
		comment := strings.HasPrefix(text, "#") && len(line)-len(text) < column
		if strings.TrimSpace(line) != "" && !comment {
			break
		}
		next--
	}
	return next
}

// Offset returns where the character at line and column, both from 1, is in the text.
func (e *Editor) Offset(line, column int) (int, bool) {
	if line < 1 || line > len(e.lines) {
		return 0, false
	}
	at := 0
	for _, l := range e.lines[:line-1] {
		at += len(l)
	}
	for i := range e.lines[line-1] {
		if column--; column == 0 {
			return at + i, true
		}
	}
	return at + len(e.lines[line-1]), column == 1
}

// insertFlow adds what text has between its braces or brackets in front of the one at
// end, which closes the mapping or list.
func (e *Editor) insertFlow(end *token.Token, empty bool, text string) ([]string, error) {
	if end == nil {
		return nil, errors.New("the mapping has no end")
	}
	at, ok := e.Offset(end.Position.Line, end.Position.Column)
	if !ok || !strings.HasPrefix(e.Text[at:], end.Value) {
		return nil, errors.New("the end of the mapping cannot be found")
	}
	text = text[1 : len(text)-1]
	before, after := e.Text[:at], e.Text[at:]
	if empty {
		return []string{before + text + after}, nil
	}
	// A comma may stand there already.
	return []string{before + ", " + text + after, before + text + after, before + " " + text + after}, nil
}

// replaceEmpty replaces the {} of m by a block; ok is false where other text
// stands in or behind it.
func (e *Editor) replaceEmpty(m *ast.MappingNode, column int, entry Pair) (text string, ok bool) {
	at, ok := e.Offset(m.Start.Position.Line, m.Start.Position.Column)
	if !ok || m.End == nil || m.End.Position.Line != m.Start.Position.Line {
		return "", false
	}
	rest, ok := strings.CutPrefix(e.Text[at:], "{")
	rest, ok2 := strings.CutPrefix(strings.TrimLeft(rest, " "), "}")
	if !ok || !ok2 {
		return "", false
	}
	return e.replaceInline(at, rest, column, entry)
}

// replaceInline puts entry, as a block, on the lines below the key whose value
// at offset at goes; rest is the text behind that value.
func (e *Editor) replaceInline(at int, rest string, column int, entry Pair) (string, bool) {
	tail, below, _ := strings.Cut(rest, "\n")
	tail = strings.TrimRight(tail, " \r")
	if t := strings.TrimLeft(tail, " \t"); t != "" && !strings.HasPrefix(t, "#") {
		return "", false
	}
	block := strings.Join(e.block([]Pair{entry}, column+2, 2), "")
	return strings.TrimRight(e.Text[:at], " ") + tail + e.eol + block + below, true
}

// replaceNull gives the key section, which has no value, one.
func (e *Editor) replaceNull(section *ast.MappingValueNode, null *ast.NullNode, inFlow bool, column int, entry Pair) ([]string, error) {
	at, ok := e.Offset(section.Start.Position.Line, section.Start.Position.Column)
	if !ok || !strings.HasPrefix(e.Text[at:], ":") {
		return nil, fmt.Errorf("the place behind %s cannot be found", keyText(section))
	}
	at++
	if anchor, ok := section.Value.(*ast.AnchorNode); ok {
		return nil, fmt.Errorf("its %s are an empty value with the anchor %s", keyText(section), anchor.Name)
	}
	rest := e.Text[at:]
	for _, word := range []string{"null", "Null", "NULL", "~"} {
		if after, ok := strings.CutPrefix(strings.TrimLeft(rest, " "), word); ok && null.GetToken().Value == word {
			rest = after
			break
		}
	}
	var texts []string
	if text, ok := e.replaceInline(at, rest, column, entry); ok && !inFlow {
		texts = append(texts, text)
	}
	return append(texts, e.Text[:at]+" "+Flow([]Pair{entry})+rest), nil
}

// mappingValues returns the entries of a mapping.
func mappingValues(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch x := n.(type) {
	case *ast.MappingNode:
		return x.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{x}, true
	}
	return nil, false
}

func keyText(n *ast.MappingValueNode) string {
	if n.Key.IsMergeKey() {
		return ""
	}
	var key ast.Node = n.Key
	if explicit, ok := key.(*ast.MappingKeyNode); ok {
		key = explicit.Value
	}
	text, _ := ScalarText(key)
	return text
}

// ListCandidates is candidates for item added to the list below key, below the key section.
func (e *Editor) ListCandidates(root ast.Node, section, key string, item []Pair) ([]string, error) {
	whole := Pair{key, [][]Pair{item}}
	top, _ := mappingValues(root)
	i := slices.IndexFunc(top, func(n *ast.MappingValueNode) bool { return keyText(n) == section })
	if i < 0 {
		return e.Candidates(root, section, whole)
	}
	keys, _ := mappingValues(top[i].Value)
	j := slices.IndexFunc(keys, func(n *ast.MappingValueNode) bool { return keyText(n) == key })
	if j < 0 {
		return e.Candidates(root, section, whole)
	}
	next := e.after(top, i)
	if j+1 < len(keys) {
		next = e.after(keys, j)
	}
	switch list := keys[j].Value.(type) {
	case *ast.SequenceNode:
		if list.IsFlowStyle {
			return e.insertFlow(list.End, len(list.Values) == 0, Flow([][]Pair{item}))
		}
		return e.intoList(list, key, next, item)
	case *ast.NullNode:
		return e.nullList(keys[j], item)
	}
	return nil, fmt.Errorf("its %s are not written as a list", key)
}

// intoList adds item to a list, which ends before the line with index next.
func (e *Editor) intoList(list *ast.SequenceNode, key string, next int, item []Pair) ([]string, error) {
	if list.Start == nil || list.Start.Position == nil {
		return nil, fmt.Errorf("the beginning of its %s cannot be found", key)
	}
	column := list.Start.Position.Column - 1
	var lines []string
	for i, line := range Block(item, 2) {
		lines = append(lines, strings.Repeat(" ", column)+map[bool]string{true: "- ", false: "  "}[i == 0]+line+e.eol)
	}
	return []string{e.insert(e.beforeSpace(next, column), lines), e.insert(next, lines)}, nil
}

// nullList gives a key, which has no value, a list.
func (e *Editor) nullList(list *ast.MappingValueNode, item []Pair) ([]string, error) {
	at, ok := e.Offset(list.Start.Position.Line, list.Start.Position.Column)
	if !ok || !strings.HasPrefix(e.Text[at:], ":") {
		return nil, fmt.Errorf("the place behind %s cannot be found", keyText(list))
	}
	return []string{e.Text[:at+1] + " " + Flow([][]Pair{item}) + e.Text[at+1:]}, nil
}
