package document

import (
	"errors"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"fnb/internal/lazyregexp"
)

// A Reader turns a YAML tree into values and gathers every problem it meets on
// the way, so that one run reports them all.
type Reader struct {
	File     string
	Problems []*FieldError
	targets  map[*ast.AliasNode]ast.Node
	values   int             // read so far; bounds what aliases can expand to
	empty    map[string]bool // fields that were read as an empty text

	// Substitute replaces the ${VAR} of a text; nil leaves it as it is.
	Substitute func(string) (string, error)
	// Unset are the values that need a variable which is not set.
	Unset []Unset
	// Within is what the caller says is being read, such as the name of a function; the
	// values of unset have it.
	Within string
	// Positions is where each text is that was read, by its field; nil notes none.
	Positions map[string]Spot
	// Raw is true where texts with a $ in them are neither replaced nor checked.
	Raw bool
}

// A Value is one value of a document.
type Value struct {
	Node   ast.Node // neither anchor nor tag, and an alias only where it stands for nothing; nil for null
	Field  string
	Line   int
	Column int
}

// A Spot is a place in a file, from 1.
type Spot struct{ Line, Column int }

// An Entry is one key of a mapping, with its value.
type Entry struct {
	Key   string
	At    Value // of the key; its field is that of the value
	Value Value
}

var plainKey = lazyregexp.New(`^[A-Za-z0-9_-]+$`)

// Below returns the field of a key in the field parent.
func Below(parent, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return parent + fmt.Sprintf("[%q]", key)
	case parent == "":
		return key
	default:
		return parent + "." + key
	}
}

// Document parses data and returns its value.
func (r *Reader) Document(data []byte) (Value, bool) {
	body, problem := parseDocument(r.File, data)
	if problem != nil {
		r.Problems = append(r.Problems, problem)
		return Value{}, false
	}
	if body == nil {
		return Value{Line: 1, Column: 1}, true
	}
	a := anchors{nodes: map[string]ast.Node{}, targets: map[*ast.AliasNode]ast.Node{}}
	a.collect(body)
	r.targets = a.targets
	return r.value(body, ""), true
}

// anchors finds what each alias stands for.
type anchors struct {
	nodes   map[string]ast.Node
	targets map[*ast.AliasNode]ast.Node
}

// collect walks n in document order. An anchor is known only behind its value,
// so that an alias can never stand for something that contains it.
func (a anchors) collect(n ast.Node) {
	switch x := n.(type) {
	case *ast.MappingNode:
		for _, v := range x.Values {
			a.collect(v)
		}
	case *ast.MappingValueNode:
		a.collect(x.Key)
		a.collect(x.Value)
	case *ast.MappingKeyNode:
		a.collect(x.Value)
	case *ast.SequenceNode:
		for _, v := range x.Values {
			a.collect(v)
		}
	case *ast.TagNode:
		a.collect(x.Value)
	case *ast.AnchorNode:
		a.collect(x.Value)
		if x.Name != nil {
			a.nodes[x.Name.GetToken().Value] = x.Value
		}
	case *ast.AliasNode:
		if x.Value != nil {
			if target, ok := a.nodes[x.Value.GetToken().Value]; ok {
				a.targets[x] = target
			}
		}
	}
}

// value returns what n says, behind anchors, aliases and tags.
func (r *Reader) value(n ast.Node, field string) Value {
	v := Value{Field: field}
	for n != nil {
		if at := position(n); at.Line > 0 {
			v.Line, v.Column = at.Line, at.Column
		}
		switch x := n.(type) {
		case *ast.AnchorNode:
			n = x.Value
		case *ast.TagNode:
			r.checkTag(v, x)
			n = x.Value
		case *ast.AliasNode:
			if r.targets[x] == nil {
				r.Fail(v, "the alias has no anchor before it", "")
				v.Node = x
				return v
			}
			n = r.targets[x]
		case *ast.NullNode:
			return v
		default:
			v.Node = n
			return v
		}
	}
	return v
}

func (r *Reader) checkTag(v Value, n *ast.TagNode) {
	known := []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq"}
	if tag := n.Start.Value; !slices.Contains(known, tag) {
		r.Fail(v, fmt.Sprintf("the tag %q is not understood", tag), "")
	}
}

// Fail notes a problem at v.
func (r *Reader) Fail(v Value, problem, near string) {
	r.Problems = append(r.Problems, r.problem(v, problem, near))
}

// problem is one at v.
func (r *Reader) problem(v Value, problem, near string) *FieldError {
	return &FieldError{File: r.File, Line: v.Line, Column: v.Column, Field: v.Field, Problem: problem, Near: near}
}

// Refuse notes err, which a check returned, at v. A method Near of the error is the word
// that was probably meant.
func (r *Reader) Refuse(v Value, err error) {
	near := ""
	if knows, ok := errors.AsType[interface {
		error
		Near() string
	}](err); ok {
		near = knows.Near()
	}
	problem := r.problem(v, err.Error(), near)
	problem.Err = err
	r.Problems = append(r.Problems, problem)
}

// exceeded counts one more value and is true when there are too many; that is
// reported once.
func (r *Reader) exceeded(v Value) bool {
	r.values++
	if r.values == maxValues {
		r.Fail(v, fmt.Sprintf("the document has more than %d values when its aliases are followed", maxValues), "")
	}
	return r.values >= maxValues
}

// WrongType notes that v is not what the file needs there.
func (r *Reader) WrongType(v Value, want string) {
	got := "text"
	switch v.Node.(type) {
	case *ast.AliasNode:
		return // reported when it was met
	case nil:
		got = "empty"
	case *ast.MappingNode, *ast.MappingValueNode:
		got = "a mapping"
	case *ast.SequenceNode:
		got = "a list"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		got = "a number"
	case *ast.BoolNode:
		got = "true or false"
	}
	r.Fail(v, fmt.Sprintf("is %s, but must be %s", got, want), "")
}

// Entries returns the entries of the mapping v in file order, those of merge
// keys behind its own; none for null. A key that is there twice is a problem.
// ok is false where v is not a mapping.
func (r *Reader) Entries(v Value) (all []Entry, ok bool) {
	var nodes []*ast.MappingValueNode
	switch x := v.Node.(type) {
	case nil:
		return nil, true
	case *ast.MappingNode:
		nodes = x.Values
	case *ast.MappingValueNode:
		nodes = []*ast.MappingValueNode{x}
	default:
		r.WrongType(v, "a mapping")
		return nil, false
	}
	var own, merged []Entry
	lines := map[string]int{}
	for _, n := range nodes {
		if r.exceeded(v) {
			return nil, false
		}
		if n.Key.IsMergeKey() {
			merged = append(merged, r.merged(r.value(n.Value, v.Field))...)
			continue
		}
		e, ok := r.entry(n, v.Field)
		if !ok {
			continue
		}
		if line, twice := lines[e.Key]; twice {
			r.Fail(e.At, fmt.Sprintf("is already on line %d", line), "")
			continue
		}
		lines[e.Key] = e.At.Line
		own = append(own, e)
	}
	for _, e := range merged {
		if _, ok := lines[e.Key]; !ok {
			lines[e.Key] = e.At.Line
			own = append(own, e)
		}
	}
	return own, true
}

// merged returns the entries of a merge key's value: a mapping or a list of them.
func (r *Reader) merged(v Value) []Entry {
	list, ok := v.Node.(*ast.SequenceNode)
	if !ok {
		all, _ := r.Entries(v)
		return all
	}
	var all []Entry
	for _, n := range list.Values {
		if r.exceeded(v) {
			return nil
		}
		some, _ := r.Entries(r.value(n, v.Field))
		all = append(all, some...)
	}
	return all
}

func (r *Reader) entry(n *ast.MappingValueNode, parent string) (Entry, bool) {
	var key ast.Node = n.Key
	if explicit, ok := key.(*ast.MappingKeyNode); ok {
		key = explicit.Value
	}
	if key == nil {
		return Entry{}, false
	}
	k := r.value(key, parent)
	text, ok := ScalarText(k.Node)
	if k.Node == nil && ok {
		text = key.GetToken().Value
	}
	if !ok {
		r.WrongType(k, "a string as key")
		return Entry{}, false
	}
	k.Field = Below(parent, text)
	val := r.value(n.Value, k.Field)
	if val.Node == nil { // null has no place of its own
		val.Line, val.Column = k.Line, k.Column
	}
	return Entry{Key: text, At: k, Value: val}, true
}
