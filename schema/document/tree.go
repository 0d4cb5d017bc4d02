package document

import (
	"errors"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// A Tree is what a YAML document says, in order and without its looks, to be
// compared with another.
type Tree struct {
	kind  string // type of the node, "mapping" or "sequence"
	Text  string // of a scalar, a tag, an anchor or an alias
	keys  []*Tree
	Items []*Tree // values of keys, or items of a sequence
}

// PlainTree returns the tree of a document.
func PlainTree(v Value) (*Tree, error) {
	t := treeOf(v.Node)
	if t.kind != "mapping" && t.kind != "null" {
		return nil, errors.New("the document is not a mapping")
	}
	return t, nil
}

func treeOf(n ast.Node) *Tree {
	switch x := n.(type) {
	case nil, *ast.NullNode:
		return &Tree{kind: "null"}
	case *ast.MappingNode:
		t := &Tree{kind: "mapping"}
		for _, v := range x.Values {
			t.add(v)
		}
		return t
	case *ast.MappingValueNode:
		t := &Tree{kind: "mapping"}
		t.add(x)
		return t
	case *ast.MappingKeyNode:
		return treeOf(x.Value)
	case *ast.SequenceNode:
		t := &Tree{kind: "sequence"}
		for _, v := range x.Values {
			t.Items = append(t.Items, treeOf(v))
		}
		return t
	case *ast.AnchorNode:
		return &Tree{kind: "anchor", Text: x.Name.GetToken().Value, Items: []*Tree{treeOf(x.Value)}}
	case *ast.AliasNode:
		return &Tree{kind: "alias", Text: x.Value.GetToken().Value}
	case *ast.TagNode:
		return &Tree{kind: "tag", Text: x.Start.Value, Items: []*Tree{treeOf(x.Value)}}
	}
	text, _ := ScalarText(n)
	return &Tree{kind: reflect.TypeOf(n).String(), Text: text}
}

func (t *Tree) add(n *ast.MappingValueNode) {
	t.keys = append(t.keys, treeOf(n.Key))
	t.Items = append(t.Items, treeOf(n.Value))
}

// section returns the value of a key, behind an anchor; nil for none.
func (t *Tree) section(name string) *Tree {
	for i, key := range t.keys {
		if key.Text == name {
			f := t.Items[i]
			if f.kind == "anchor" {
				f = f.Items[0]
			}
			return f
		}
	}
	return nil
}

// Remove removes a key of a section.
func (t *Tree) Remove(section, name string) {
	f := t.section(section)
	if f == nil {
		return
	}
	if i := slices.IndexFunc(f.keys, func(k *Tree) bool { return k.Text == name }); i >= 0 {
		f.keys, f.Items = slices.Delete(f.keys, i, i+1), slices.Delete(f.Items, i, i+1)
	}
	if len(f.keys) == 0 {
		f.keys, f.Items = nil, nil
	}
}

// WithSection returns t with an empty mapping as the section where it has none.
func (t *Tree) WithSection(name string) *Tree {
	c := &Tree{kind: "mapping", keys: slices.Clone(t.keys), Items: slices.Clone(t.Items)}
	switch f := t.section(name); {
	case f == nil:
		c.keys = append(c.keys, treeOf(nil))
		*c.keys[len(c.keys)-1] = Tree{kind: "*ast.StringNode", Text: name}
		c.Items = append(c.Items, &Tree{kind: "mapping"})
	case f.kind == "null":
		for i := range c.keys {
			if c.keys[i].Text == name {
				c.Items[i] = &Tree{kind: "mapping"}
			}
		}
	}
	return c
}

// At returns the value of a key in the value of another, behind anchors; nil for none.
func (t *Tree) At(path ...string) *Tree {
	for _, key := range path {
		i := slices.IndexFunc(t.keys, func(k *Tree) bool { return k.Text == key })
		if i < 0 {
			return nil
		}
		if t = t.Items[i]; t.kind == "anchor" {
			t = t.Items[0]
		}
	}
	return t
}

// Without returns t without the value at path where that has nothing in it, and without
// what has nothing in it then.
func (t *Tree) Without(path ...string) *Tree {
	if t.kind == "anchor" {
		return &Tree{kind: t.kind, Text: t.Text, Items: []*Tree{t.Items[0].Without(path...)}}
	}
	if len(path) == 0 {
		return t
	}
	c := &Tree{kind: t.kind, Text: t.Text}
	for i, key := range t.keys {
		item := t.Items[i]
		if key.Text == path[0] {
			if item = item.Without(path[1:]...); len(item.keys) == 0 && len(item.Items) == 0 && item.kind != "alias" && item.Text == "" {
				continue
			}
		}
		c.keys, c.Items = append(c.keys, key), append(c.Items, item)
	}
	return c
}
