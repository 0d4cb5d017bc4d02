package schema

import (
	"errors"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// A tree is what a YAML document says, in order and without its looks, to be
// compared with another.
type tree struct {
	kind  string // type of the node, "mapping" or "sequence"
	text  string // of a scalar, a tag, an anchor or an alias
	keys  []*tree
	items []*tree // values of keys, or items of a sequence
}

// plainTree returns the tree of a document.
func plainTree(v value) (*tree, error) {
	t := treeOf(v.node)
	if t.kind != "mapping" && t.kind != "null" {
		return nil, errors.New("the document is not a mapping")
	}
	return t, nil
}

func treeOf(n ast.Node) *tree {
	switch x := n.(type) {
	case nil, *ast.NullNode:
		return &tree{kind: "null"}
	case *ast.MappingNode:
		t := &tree{kind: "mapping"}
		for _, v := range x.Values {
			t.add(v)
		}
		return t
	case *ast.MappingValueNode:
		t := &tree{kind: "mapping"}
		t.add(x)
		return t
	case *ast.MappingKeyNode:
		return treeOf(x.Value)
	case *ast.SequenceNode:
		t := &tree{kind: "sequence"}
		for _, v := range x.Values {
			t.items = append(t.items, treeOf(v))
		}
		return t
	case *ast.AnchorNode:
		return &tree{kind: "anchor", text: x.Name.GetToken().Value, items: []*tree{treeOf(x.Value)}}
	case *ast.AliasNode:
		return &tree{kind: "alias", text: x.Value.GetToken().Value}
	case *ast.TagNode:
		return &tree{kind: "tag", text: x.Start.Value, items: []*tree{treeOf(x.Value)}}
	}
	text, _ := scalarText(n)
	return &tree{kind: reflect.TypeOf(n).String(), text: text}
}

func (t *tree) add(n *ast.MappingValueNode) {
	t.keys = append(t.keys, treeOf(n.Key))
	t.items = append(t.items, treeOf(n.Value))
}

// functions returns the value of the key functions, behind an anchor; nil for none.
func (t *tree) functions() *tree {
	for i, key := range t.keys {
		if key.text == "functions" {
			f := t.items[i]
			if f.kind == "anchor" {
				f = f.items[0]
			}
			return f
		}
	}
	return nil
}

// removeFunction removes the function name.
func (t *tree) removeFunction(name string) {
	f := t.functions()
	if f == nil {
		return
	}
	if i := slices.IndexFunc(f.keys, func(k *tree) bool { return k.text == name }); i >= 0 {
		f.keys, f.items = slices.Delete(f.keys, i, i+1), slices.Delete(f.items, i, i+1)
	}
	if len(f.keys) == 0 {
		f.keys, f.items = nil, nil
	}
}

// withFunctions returns t with an empty mapping of functions where it has none.
func (t *tree) withFunctions() *tree {
	c := &tree{kind: "mapping", keys: slices.Clone(t.keys), items: slices.Clone(t.items)}
	switch f := t.functions(); {
	case f == nil:
		c.keys = append(c.keys, treeOf(nil))
		*c.keys[len(c.keys)-1] = tree{kind: "*ast.StringNode", text: "functions"}
		c.items = append(c.items, &tree{kind: "mapping"})
	case f.kind == "null":
		for i := range c.keys {
			if c.keys[i].text == "functions" {
				c.items[i] = &tree{kind: "mapping"}
			}
		}
	}
	return c
}

// at returns the value of a key in the value of another, behind anchors; nil for none.
func (t *tree) at(path ...string) *tree {
	for _, key := range path {
		i := slices.IndexFunc(t.keys, func(k *tree) bool { return k.text == key })
		if i < 0 {
			return nil
		}
		if t = t.items[i]; t.kind == "anchor" {
			t = t.items[0]
		}
	}
	return t
}

// without returns t without the value at path where that has nothing in it, and without
// what has nothing in it then.
func (t *tree) without(path ...string) *tree {
	if t.kind == "anchor" {
		return &tree{kind: t.kind, text: t.text, items: []*tree{t.items[0].without(path...)}}
	}
	if len(path) == 0 {
		return t
	}
	c := &tree{kind: t.kind, text: t.text}
	for i, key := range t.keys {
		item := t.items[i]
		if key.text == path[0] {
			if item = item.without(path[1:]...); len(item.keys) == 0 && len(item.items) == 0 && item.kind != "alias" && item.text == "" {
				continue
			}
		}
		c.keys, c.items = append(c.keys, key), append(c.items, item)
	}
	return c
}
