package schema

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// A reader turns a YAML tree into values and gathers every problem it meets on
// the way, so that one run reports them all.
type reader struct {
	file     string
	problems []*FieldError
	targets  map[*ast.AliasNode]ast.Node
	values   int             // read so far; bounds what aliases can expand to
	empty    map[string]bool // fields that were read as an empty text

	// substitute replaces the ${VAR} of a text; nil leaves it as it is.
	substitute func(string) (string, error)
	// unset are the values that need a variable which is not set.
	unset []unsetValue
	// within is the name of the function that is being read; "" between functions.
	within string
	// positions is where each text is that was read, by its field; nil notes none.
	positions map[string]spot
	// raw is true where texts with a $ in them are neither replaced nor checked.
	raw bool
}

// A value is one value of a document.
type value struct {
	node  ast.Node // neither anchor nor tag, and an alias only where it stands for nothing; nil for null
	field string
	line  int
	col   int
}

// An entry is one key of a mapping, with its value.
type entry struct {
	key   string
	at    value // of the key; its field is that of the value
	value value
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// below returns the field of a key in the field parent.
func below(parent, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return parent + fmt.Sprintf("[%q]", key)
	case parent == "":
		return key
	default:
		return parent + "." + key
	}
}

// document parses data and returns its value.
func (r *reader) document(data []byte) (value, bool) {
	body, problem := parseDocument(r.file, data)
	if problem != nil {
		r.problems = append(r.problems, problem)
		return value{}, false
	}
	if body == nil {
		return value{line: 1, col: 1}, true
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
func (r *reader) value(n ast.Node, field string) value {
	v := value{field: field}
	for n != nil {
		if at := position(n); at.Line > 0 {
			v.line, v.col = at.Line, at.Column
		}
		switch x := n.(type) {
		case *ast.AnchorNode:
			n = x.Value
		case *ast.TagNode:
			r.checkTag(v, x)
			n = x.Value
		case *ast.AliasNode:
			if r.targets[x] == nil {
				r.fail(v, "the alias has no anchor before it", "")
				v.node = x
				return v
			}
			n = r.targets[x]
		case *ast.NullNode:
			return v
		default:
			v.node = n
			return v
		}
	}
	return v
}

func (r *reader) checkTag(v value, n *ast.TagNode) {
	known := []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq"}
	if tag := n.Start.Value; !slices.Contains(known, tag) {
		r.fail(v, fmt.Sprintf("the tag %q is not understood", tag), "")
	}
}

// fail notes a problem at v.
func (r *reader) fail(v value, problem, near string) {
	r.problems = append(r.problems, r.problem(v, problem, near))
}

// problem is one at v.
func (r *reader) problem(v value, problem, near string) *FieldError {
	return &FieldError{File: r.file, Line: v.line, Column: v.col, Field: v.field, Problem: problem, Near: near}
}

// refuse notes err, which a check returned, at v.
func (r *reader) refuse(v value, err error) {
	near := ""
	var word *wordError
	var platform *platformError
	switch {
	case errors.As(err, &word):
		near = nearest(word.word, word.words)
	case errors.As(err, &platform):
		near = platform.Near()
	}
	problem := r.problem(v, err.Error(), near)
	var image *ImageError
	if errors.As(err, &image) {
		problem.Err = image
	}
	r.problems = append(r.problems, problem)
}

// exceeded counts one more value and is true when there are too many; that is
// reported once.
func (r *reader) exceeded(v value) bool {
	r.values++
	if r.values == maxValues {
		r.fail(v, fmt.Sprintf("the document has more than %d values when its aliases are followed", maxValues), "")
	}
	return r.values >= maxValues
}

// wrongType notes that v is not what the file needs there.
func (r *reader) wrongType(v value, want string) {
	got := "text"
	switch v.node.(type) {
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
	r.fail(v, fmt.Sprintf("is %s, where %s is needed", got, want), "")
}

// entries returns the entries of the mapping v in file order, those of merge
// keys behind its own; none for null. A key that is there twice is a problem.
// ok is false where v is not a mapping.
func (r *reader) entries(v value) (all []entry, ok bool) {
	var nodes []*ast.MappingValueNode
	switch x := v.node.(type) {
	case nil:
		return nil, true
	case *ast.MappingNode:
		nodes = x.Values
	case *ast.MappingValueNode:
		nodes = []*ast.MappingValueNode{x}
	default:
		r.wrongType(v, "a mapping")
		return nil, false
	}
	var own, merged []entry
	lines := map[string]int{}
	for _, n := range nodes {
		if r.exceeded(v) {
			return nil, false
		}
		if n.Key.IsMergeKey() {
			merged = append(merged, r.merged(r.value(n.Value, v.field))...)
			continue
		}
		e, ok := r.entry(n, v.field)
		if !ok {
			continue
		}
		if line, twice := lines[e.key]; twice {
			r.fail(e.at, fmt.Sprintf("is already on line %d", line), "")
			continue
		}
		lines[e.key] = e.at.line
		own = append(own, e)
	}
	for _, e := range merged {
		if _, ok := lines[e.key]; !ok {
			lines[e.key] = e.at.line
			own = append(own, e)
		}
	}
	return own, true
}

// merged returns the entries of a merge key's value: a mapping or a list of them.
func (r *reader) merged(v value) []entry {
	list, ok := v.node.(*ast.SequenceNode)
	if !ok {
		all, _ := r.entries(v)
		return all
	}
	var all []entry
	for _, n := range list.Values {
		if r.exceeded(v) {
			return nil
		}
		some, _ := r.entries(r.value(n, v.field))
		all = append(all, some...)
	}
	return all
}

func (r *reader) entry(n *ast.MappingValueNode, parent string) (entry, bool) {
	var key ast.Node = n.Key
	if explicit, ok := key.(*ast.MappingKeyNode); ok {
		key = explicit.Value
	}
	if key == nil {
		return entry{}, false
	}
	k := r.value(key, parent)
	text, ok := scalarText(k.node)
	if k.node == nil && ok {
		text = key.GetToken().Value
	}
	if !ok {
		r.wrongType(k, "a text as key")
		return entry{}, false
	}
	k.field = below(parent, text)
	val := r.value(n.Value, k.field)
	if val.node == nil { // null has no place of its own
		val.line, val.col = k.line, k.col
	}
	return entry{key: text, at: k, value: val}, true
}
