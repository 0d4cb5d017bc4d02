package schema

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// NewStack returns the contents of a stack file that has fn as its only function.
// Values are written as they are: a ${VAR} in one is replaced when the stack is read.
func NewStack(fn Function) []byte {
	head := "version: 1.0\nprovider:\n  name: openfaas\n  gateway: http://127.0.0.1:8080\n"
	lines := blockYAML([]pair{{"functions", []pair{{fn.Name, functionPairs(fn)}}}}, 2)
	return []byte(head + strings.Join(lines, "\n") + "\n")
}

// AddFunction returns the stack file data with fn added behind its functions.
// Every other byte stays as it is: comments, blank lines, order, quotes and line
// ends. Values are written as they are: a ${VAR} in one is replaced when the
// stack is read.
//
// The result is read again before it is returned, and is the old document with
// the function added, exactly; where that cannot be had, as in a document whose
// functions are an alias, AddFunction returns an error. So it does where fn is
// not valid, or data is not YAML or has a function of that name: a
// [*FieldError] then.
func AddFunction(data []byte, fn Function) ([]byte, error) {
	r := &reader{}
	v, ok := r.document(data)
	if !ok {
		return nil, joinFieldErrors(r.problems)
	}
	old, err := plainTree(v)
	if err != nil {
		return nil, fmt.Errorf("adding the function %s: %w", fn.Name, err)
	}
	if err := checkNewFunction(r, v, fn); err != nil {
		return nil, err
	}
	e := newEditor(data)
	candidates, err := e.candidates(v.node, "functions", pair{fn.Name, functionPairs(fn)})
	if err != nil {
		return nil, fmt.Errorf("adding the function %s: %w", fn.Name, err)
	}
	edited, err := e.first(candidates, func(text []byte) error { return verifyAdded(old, text, fn) })
	if err != nil {
		return nil, fmt.Errorf("adding the function %s: the stack file cannot be edited safely; add it by hand: %w", fn.Name, err)
	}
	return edited, nil
}

// checkNewFunction returns an error if fn cannot be added to the stack v.
func checkNewFunction(r *reader, v value, fn Function) error {
	check := &reader{raw: true}
	doc, ok := check.document(NewStack(fn))
	if ok {
		check.stack(doc, &Stack{})
	}
	for _, p := range check.problems {
		p.Line, p.Column = 0, 0 // places in a file that is not written
	}
	if len(check.problems) > 0 {
		return joinFieldErrors(check.problems)
	}
	entries, ok := r.entries(v)
	for _, e := range entries {
		if e.key != "functions" {
			continue
		}
		functions, isMap := r.entries(e.value)
		ok = ok && isMap
		for _, f := range functions {
			if f.key == fn.Name {
				return &FieldError{Line: f.at.line, Column: f.at.col, Field: f.at.field, Problem: "there is a function of this name already"}
			}
		}
	}
	if !ok || len(r.problems) > 0 {
		return joinFieldErrors(r.problems)
	}
	return nil
}

// An editor makes the text of a stack file with something added.
type editor struct {
	text  string
	lines []string // of text, each with its line end
	eol   string
	bom   bool
}

func newEditor(data []byte) *editor {
	e := &editor{text: strings.TrimPrefix(string(data), "\ufeff"), bom: len(data) > 2 && data[0] == 0xef, eol: "\n"}
	if i := strings.IndexByte(e.text, '\n'); i > 0 && e.text[i-1] == '\r' {
		e.eol = "\r\n"
	}
	e.lines = strings.SplitAfter(e.text, "\n")
	return e
}

// first returns the first of the texts that is as it should be.
func (e *editor) first(candidates []string, verify func([]byte) error) ([]byte, error) {
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

// candidates returns the texts, the likeliest first, of which one may be the document
// with entry added to the mapping below the key section.
func (e *editor) candidates(root ast.Node, section string, entry pair) ([]string, error) {
	whole := pair{section, []pair{entry}}
	if root == nil {
		return []string{e.insert(len(e.lines), e.block([]pair{whole}, 0, 2))}, nil
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
		return e.insertFlow(flow.End, len(flow.Values) == 0, flowYAML([]pair{whole}))
	case i < 0:
		column := position(top[0].Key).Column - 1
		lines := e.block([]pair{whole}, column, 2)
		end := e.documentEnd(position(top[len(top)-1].Key).Line)
		return []string{e.insert(e.beforeSpace(end, column), lines), e.insert(end, lines)}, nil
	}
	return e.into(top[i], isFlow, e.after(top, i), entry)
}

// after returns the index of the line behind what the i-th key of a mapping has.
func (e *editor) after(keys []*ast.MappingValueNode, i int) int {
	if i+1 < len(keys) {
		return position(keys[i+1].Key).Line - 1
	}
	return e.documentEnd(position(keys[i].Key).Line)
}

// into adds entry to the value of the key section, which ends before the line with
// index next.
func (e *editor) into(section *ast.MappingValueNode, inFlow bool, next int, entry pair) ([]string, error) {
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
		texts, err := e.insertFlow(m.End, len(values) == 0, flowYAML([]pair{entry}))
		if len(values) == 0 && !inFlow {
			if block, ok := e.replaceEmpty(m, column, entry); ok {
				texts = append([]string{block}, texts...)
			}
		}
		return texts, err
	}
	child := position(values[0].Key).Column - 1
	lines := e.block([]pair{entry}, child, max(child-column, 2))
	at := e.beforeSpace(next, child)
	if n := len(values); n > 1 && e.isBlank(position(values[n-1].Key).Line-2) {
		lines = append([]string{e.eol}, lines...)
	}
	return []string{e.insert(at, lines), e.insert(next, lines)}, nil
}

// block returns lines of YAML, indented by column.
func (e *editor) block(pairs []pair, column, step int) []string {
	lines := blockYAML(pairs, step)
	for i, line := range lines {
		lines[i] = strings.Repeat(" ", column) + line + e.eol
	}
	return lines
}

// insert returns the text with lines before the line with index at.
func (e *editor) insert(at int, lines []string) string {
	before := strings.Join(e.lines[:at], "")
	if before != "" && !strings.HasSuffix(before, "\n") {
		before += e.eol
	}
	return before + strings.Join(lines, "") + strings.Join(e.lines[at:], "")
}

// documentEnd returns the index of the line that ends the document which has
// something on the line numbered from.
func (e *editor) documentEnd(from int) int {
	for i := from; i < len(e.lines); i++ {
		if line := strings.TrimRight(e.lines[i], "\r\n"); line == "..." || line == "---" ||
			strings.HasPrefix(line, "... ") || strings.HasPrefix(line, "--- ") {
			return i
		}
	}
	return len(e.lines)
}

func (e *editor) isBlank(i int) bool {
	return i >= 0 && i < len(e.lines) && strings.TrimSpace(e.lines[i]) == ""
}

// beforeSpace returns the index behind the last line before index next that
// belongs to a mapping whose keys stand at column: not blank, and not a comment
// further left.
func (e *editor) beforeSpace(next, column int) int {
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

// offset returns where the character at line and column, both from 1, is in the text.
func (e *editor) offset(line, column int) (int, bool) {
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
func (e *editor) insertFlow(end *token.Token, empty bool, text string) ([]string, error) {
	if end == nil {
		return nil, errors.New("the mapping has no end")
	}
	at, ok := e.offset(end.Position.Line, end.Position.Column)
	if !ok || !strings.HasPrefix(e.text[at:], end.Value) {
		return nil, errors.New("the end of the mapping cannot be found")
	}
	text = text[1 : len(text)-1]
	before, after := e.text[:at], e.text[at:]
	if empty {
		return []string{before + text + after}, nil
	}
	// A comma may stand there already.
	return []string{before + ", " + text + after, before + text + after, before + " " + text + after}, nil
}

// replaceEmpty replaces the {} of m by a block; ok is false where other text
// stands in or behind it.
func (e *editor) replaceEmpty(m *ast.MappingNode, column int, entry pair) (text string, ok bool) {
	at, ok := e.offset(m.Start.Position.Line, m.Start.Position.Column)
	if !ok || m.End == nil || m.End.Position.Line != m.Start.Position.Line {
		return "", false
	}
	rest, ok := strings.CutPrefix(e.text[at:], "{")
	rest, ok2 := strings.CutPrefix(strings.TrimLeft(rest, " "), "}")
	if !ok || !ok2 {
		return "", false
	}
	return e.replaceInline(at, rest, column, entry)
}

// replaceInline puts entry, as a block, on the lines below the key whose value
// at offset at goes; rest is the text behind that value.
func (e *editor) replaceInline(at int, rest string, column int, entry pair) (string, bool) {
	tail, below, _ := strings.Cut(rest, "\n")
	tail = strings.TrimRight(tail, " \r")
	if t := strings.TrimLeft(tail, " \t"); t != "" && !strings.HasPrefix(t, "#") {
		return "", false
	}
	block := strings.Join(e.block([]pair{entry}, column+2, 2), "")
	return strings.TrimRight(e.text[:at], " ") + tail + e.eol + block + below, true
}

// replaceNull gives the key section, which has no value, one.
func (e *editor) replaceNull(section *ast.MappingValueNode, null *ast.NullNode, inFlow bool, column int, entry pair) ([]string, error) {
	at, ok := e.offset(section.Start.Position.Line, section.Start.Position.Column)
	if !ok || !strings.HasPrefix(e.text[at:], ":") {
		return nil, fmt.Errorf("the place behind %s cannot be found", keyText(section))
	}
	at++
	if anchor, ok := section.Value.(*ast.AnchorNode); ok {
		return nil, fmt.Errorf("its %s are an empty value with the anchor %s", keyText(section), anchor.Name)
	}
	rest := e.text[at:]
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
	return append(texts, e.text[:at]+" "+flowYAML([]pair{entry})+rest), nil
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
	text, _ := scalarText(key)
	return text
}

// reread reads an edited stack file, as a tree and as what it says.
func reread(data []byte) (*tree, *Stack, error) {
	r := &reader{raw: true}
	v, ok := r.document(data)
	if !ok {
		return nil, nil, joinFieldErrors(r.problems)
	}
	got, err := plainTree(v)
	if err != nil {
		return nil, nil, err
	}
	stack := &Stack{}
	r.stack(v, stack)
	return got, stack, nil
}

// verifyAdded returns an error unless data is the document old with fn added.
func verifyAdded(old *tree, data []byte, fn Function) error {
	got, stack, err := reread(data)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(stack.Functions, func(f Function) bool { return f.Name == fn.Name })
	if i < 0 {
		return errors.New("the function is not in the result")
	}
	added := stack.Functions[i]
	added.Line = fn.Line
	if !reflect.DeepEqual(functionPairs(added), functionPairs(fn)) {
		return errors.New("the function reads differently in the result")
	}
	got.removeFunction(fn.Name)
	if !reflect.DeepEqual(got, old.withFunctions()) {
		return errors.New("something else would change")
	}
	return nil
}
