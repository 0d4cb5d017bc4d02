package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// scalarText returns the text of a scalar as it is written; "" for null.
func scalarText(n ast.Node) (string, bool) {
	switch x := n.(type) {
	case nil:
		return "", true
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return x.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode, *ast.MergeKeyNode:
		return strings.TrimSpace(x.GetToken().Value), true
	}
	return "", false
}

// text returns the text of v after substitution. ok is false where there is
// nothing that could be checked further.
func (r *reader) text(v value) (text string, ok bool) {
	if r.exceeded(v) {
		return "", false
	}
	text, ok = scalarText(v.node)
	if !ok {
		r.wrongType(v, "a text")
		return "", false
	}
	if r.positions != nil {
		r.positions[v.field] = spot{v.line, v.col}
	}
	if r.raw && strings.Contains(text, "$") {
		return text, false
	}
	if r.substitute == nil {
		return text, true
	}
	replaced, err := r.substitute(text)
	if missing, ok := errors.AsType[*unsetError](err); ok {
		r.needs(v, missing)
		return "", false
	}
	if err != nil {
		r.fail(v, err.Error(), "")
		return "", false
	}
	return replaced, true
}

// fields says how each known key of a mapping is read.
type fields map[string]func(value)

// object reads the mapping v, in which only the known keys may be, and returns
// the values of those that are there; nil where v is not a mapping.
func (r *reader) object(v value, known fields) map[string]value {
	entries, ok := r.entries(v)
	if !ok {
		return nil
	}
	return r.keys(entries, known)
}

// keys reads entries, of which only those with a known key may be there, and
// returns the values of these.
func (r *reader) keys(entries []entry, known fields) map[string]value {
	seen := map[string]value{}
	for _, e := range entries {
		read, ok := known[e.key]
		if !ok {
			r.fail(e.at, "is not a known key", nearest(e.key, slices.Sorted(maps.Keys(known))))
			continue
		}
		seen[e.key] = e.value
		read(e.value)
	}
	return seen
}

// require notes each of keys that is not among the values seen in v, or is
// empty. It does nothing where seen is nil, v being no mapping.
func (r *reader) require(v value, seen map[string]value, keys ...string) {
	if seen == nil {
		return
	}
	for _, key := range keys {
		at, ok := seen[key]
		if !ok {
			r.fail(value{field: below(v.field, key), line: v.line, col: v.col}, "is missing", "")
			continue
		}
		if r.empty[at.field] {
			r.fail(at, "is empty", "")
		}
	}
}

// str returns a function that reads a text into dst. A text that is not empty
// must pass the check, where there is one.
func (r *reader) str(dst *string, check func(string) error) func(value) {
	return func(v value) {
		text, ok := r.text(v)
		*dst = text
		switch {
		case ok && text == "":
			if r.empty == nil {
				r.empty = map[string]bool{}
			}
			r.empty[v.field] = true
		case ok && check != nil:
			if err := check(text); err != nil {
				r.refuse(v, err)
			}
		}
	}
}

// boolean returns a function that reads true or false into dst, in any of the
// words that OpenFaaS understands.
func (r *reader) boolean(dst *bool) func(value) {
	return func(v value) {
		text, ok := r.text(v)
		if !ok {
			return
		}
		switch strings.ToLower(text) {
		case "true", "yes", "on", "y":
			*dst = true
		case "false", "no", "off", "n", "":
			*dst = false
		default:
			r.wrongType(v, "true or false")
		}
	}
}

// list returns a function that reads each value of a list.
func (r *reader) list(each func(value)) func(value) {
	return func(v value) {
		switch x := v.node.(type) {
		case nil:
		case *ast.SequenceNode:
			for i, n := range x.Values {
				if r.exceeded(v) {
					return
				}
				each(r.value(n, fmt.Sprintf("%s[%d]", v.field, i)))
			}
		default:
			r.wrongType(v, "a list")
		}
	}
}

// nonEmpty is str for a text that cannot be empty.
func (r *reader) nonEmpty(dst *string, check func(string) error) func(value) {
	return func(v value) {
		r.str(dst, check)(v)
		if r.empty[v.field] {
			r.fail(v, "is empty", "")
		}
	}
}

// strs returns a function that reads a list of texts, none of them empty.
func (r *reader) strs(dst *[]string, check func(string) error) func(value) {
	return r.list(func(v value) {
		var text string
		r.nonEmpty(&text, check)(v)
		*dst = append(*dst, text)
	})
}

// strMap returns a function that reads a mapping of texts.
func (r *reader) strMap(dst *map[string]string) func(value) {
	return func(v value) {
		entries, _ := r.entries(v)
		for _, e := range entries {
			if *dst == nil {
				*dst = map[string]string{}
			}
			text, _ := r.text(e.value)
			(*dst)[e.key] = text
		}
	}
}
