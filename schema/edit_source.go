package schema

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// wrongProvider is what the name of a provider was in the first stack files, which no
// faas-cli takes any more.
const wrongProvider = "faas"

// AddTemplateSource returns the stack file data with src added behind the sources of
// configuration.templates. As with [AddFunction] every other byte stays as it is, and what
// cannot be added safely is an error.
func AddTemplateSource(data []byte, src TemplateSource) ([]byte, error) {
	fail := func(err error) ([]byte, error) {
		return nil, fmt.Errorf("adding the source of template %s: the stack file cannot be edited safely; add it by hand: %w", src.Name, err)
	}
	r := &reader{}
	v, ok := r.document(data)
	if !ok {
		return nil, joinFieldErrors(r.problems)
	}
	old, err := plainTree(v)
	if err != nil {
		return fail(err)
	}
	e := newEditor(data)
	candidates, err := e.sources(v.node, []pair{{"name", src.Name}, {"source", src.Source}})
	if err != nil {
		return fail(err)
	}
	edited, err := e.first(candidates, func(text []byte) error { return verifySource(old, text, src) })
	if err != nil {
		return fail(err)
	}
	return edited, nil
}

// sources returns the texts of which one may be the document with the source added.
func (e *editor) sources(root ast.Node, source []pair) ([]string, error) {
	whole := pair{"templates", [][]pair{source}}
	top, _ := mappingValues(root)
	i := slices.IndexFunc(top, func(n *ast.MappingValueNode) bool { return keyText(n) == "configuration" })
	if i < 0 {
		return e.candidates(root, "configuration", whole)
	}
	keys, _ := mappingValues(top[i].Value)
	j := slices.IndexFunc(keys, func(n *ast.MappingValueNode) bool { return keyText(n) == "templates" })
	if j < 0 {
		return e.candidates(root, "configuration", whole)
	}
	next := e.after(top, i)
	if j+1 < len(keys) {
		next = e.after(keys, j)
	}
	switch list := keys[j].Value.(type) {
	case *ast.SequenceNode:
		if list.IsFlowStyle {
			return e.insertFlow(list.End, len(list.Values) == 0, flowYAML([][]pair{source}))
		}
		return e.intoList(list, next, source)
	case *ast.NullNode:
		return e.nullList(keys[j], source)
	}
	return nil, errors.New("its templates are not written as a list")
}

// intoList adds item to a list, which ends before the line with index next.
func (e *editor) intoList(list *ast.SequenceNode, next int, item []pair) ([]string, error) {
	if list.Start == nil || list.Start.Position == nil {
		return nil, errors.New("the beginning of its templates cannot be found")
	}
	column := list.Start.Position.Column - 1
	var lines []string
	for i, line := range blockYAML(item, 2) {
		lines = append(lines, strings.Repeat(" ", column)+map[bool]string{true: "- ", false: "  "}[i == 0]+line+e.eol)
	}
	return []string{e.insert(e.beforeSpace(next, column), lines), e.insert(next, lines)}, nil
}

// nullList gives the key templates, which has no value, a list.
func (e *editor) nullList(templates *ast.MappingValueNode, item []pair) ([]string, error) {
	at, ok := e.offset(templates.Start.Position.Line, templates.Start.Position.Column)
	if !ok || !strings.HasPrefix(e.text[at:], ":") {
		return nil, errors.New("the place behind templates cannot be found")
	}
	return []string{e.text[:at+1] + " " + flowYAML([][]pair{item}) + e.text[at+1:]}, nil
}

// verifySource returns an error unless data is the document old with src as the last of
// its sources.
func verifySource(old *tree, data []byte, src TemplateSource) error {
	got, stack, err := reread(data)
	if err != nil {
		return err
	}
	all := stack.Configuration.Templates
	if len(all) == 0 || all[len(all)-1] != src {
		return errors.New("the source is not in the result")
	}
	list := got.at("configuration", "templates")
	if list == nil || len(list.items) == 0 {
		return errors.New("the sources are not in the result")
	}
	list.items = list.items[:len(list.items)-1]
	if !reflect.DeepEqual(got.without("configuration", "templates"), old.without("configuration", "templates")) {
		return errors.New("something else would change")
	}
	return nil
}

// CorrectProvider returns the stack file data with its provider called openfaas, where it
// is called faas as in the first stack files. Every other byte stays as it is; of any
// other file data comes back.
func CorrectProvider(data []byte) ([]byte, error) {
	r := &reader{raw: true}
	v, ok := r.document(data)
	if !ok {
		return data, nil // which reading it tells
	}
	old, err := plainTree(v)
	if err != nil {
		return data, nil //nolint:nilerr // as above
	}
	name := old.at("provider", "name")
	if name == nil || name.text != wrongProvider || len(name.items) > 0 {
		return data, nil
	}
	place := value{}
	entries, _ := r.entries(v)
	for _, e := range entries {
		below, _ := r.entries(e.value)
		for _, b := range below {
			if e.key == "provider" && b.key == "name" {
				place = b.value
			}
		}
	}
	e := newEditor(data)
	at, ok := e.offset(place.line, place.col)
	if !ok {
		return nil, errors.New("correcting the provider's name: its place cannot be found")
	}
	rest := e.text[at:]
	quote := rest[:len(rest)-len(strings.TrimLeft(rest, `"'`))]
	word, ok := strings.CutPrefix(rest[len(quote):], wrongProvider)
	if !ok {
		return nil, errors.New("correcting the provider's name: it is not written as a plain text")
	}
	name.text = "openfaas"
	return e.first([]string{e.text[:at] + quote + "openfaas" + word}, func(text []byte) error {
		r := &reader{raw: true}
		v, _ := r.document(text)
		got, err := plainTree(v)
		if err == nil && !reflect.DeepEqual(got, old) {
			err = errors.New("correcting the provider's name: something else would change")
		}
		return err
	})
}
