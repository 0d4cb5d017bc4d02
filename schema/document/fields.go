package document

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"fnb/internal/spelling"
)

// ScalarText returns the text of a scalar as it is written; "" for null.
func ScalarText(n ast.Node) (string, bool) {
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
func (r *Reader) text(v Value) (text string, ok bool) {
	if r.exceeded(v) {
		return "", false
	}
	text, ok = ScalarText(v.Node)
	if !ok {
		r.WrongType(v, "a string")
		return "", false
	}
	if r.Positions != nil {
		r.Positions[v.Field] = Spot{v.Line, v.Column}
	}
	if r.Raw && strings.Contains(text, "$") {
		return text, false
	}
	if r.Substitute == nil {
		return text, true
	}
	replaced, err := r.Substitute(text)
	if missing, ok := errors.AsType[*UnsetError](err); ok {
		r.Unset = append(r.Unset, Unset{Within: r.Within, Problem: r.problem(v, missing.Error(), "")})
		return "", false
	}
	if err != nil {
		r.Fail(v, err.Error(), "")
		return "", false
	}
	return replaced, true
}

// Fields says how each known key of a mapping is read.
type Fields map[string]func(Value)

// Object reads the mapping v, in which only the known keys may be, and returns
// the values of those that are there; nil where v is not a mapping.
func (r *Reader) Object(v Value, known Fields) map[string]Value {
	entries, ok := r.Entries(v)
	if !ok {
		return nil
	}
	return r.Keys(entries, known)
}

// Keys reads entries, of which only those with a known key may be there, and
// returns the values of these.
func (r *Reader) Keys(entries []Entry, known Fields) map[string]Value {
	seen := map[string]Value{}
	for _, e := range entries {
		read, ok := known[e.Key]
		if !ok {
			r.Fail(e.At, "is not a known key", spelling.Nearest(e.Key, slices.Sorted(maps.Keys(known))))
			continue
		}
		seen[e.Key] = e.Value
		read(e.Value)
	}
	return seen
}

// Require notes each of keys that is not among the values seen in v, or is
// empty. It does nothing where seen is nil, v being no mapping.
func (r *Reader) Require(v Value, seen map[string]Value, keys ...string) {
	if seen == nil {
		return
	}
	for _, key := range keys {
		at, ok := seen[key]
		if !ok {
			r.Fail(Value{Field: Below(v.Field, key), Line: v.Line, Column: v.Column}, "is missing", "")
			continue
		}
		if r.empty[at.Field] {
			r.Fail(at, "is empty", "")
		}
	}
}

// Str returns a function that reads a text into dst. A text that is not empty
// must pass the check, where there is one.
func (r *Reader) Str(dst *string, check func(string) error) func(Value) {
	return func(v Value) {
		text, ok := r.text(v)
		*dst = text
		switch {
		case ok && text == "":
			if r.empty == nil {
				r.empty = map[string]bool{}
			}
			r.empty[v.Field] = true
		case ok && check != nil:
			if err := check(text); err != nil {
				r.Refuse(v, err)
			}
		}
	}
}

// Boolean returns a function that reads true or false into dst, in any of the
// words that OpenFaaS understands.
func (r *Reader) Boolean(dst *bool) func(Value) {
	return func(v Value) {
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
			r.WrongType(v, "true or false")
		}
	}
}

// List returns a function that reads each value of a list.
func (r *Reader) List(each func(Value)) func(Value) {
	return func(v Value) {
		switch x := v.Node.(type) {
		case nil:
		case *ast.SequenceNode:
			for i, n := range x.Values {
				if r.exceeded(v) {
					return
				}
				each(r.value(n, fmt.Sprintf("%s[%d]", v.Field, i)))
			}
		default:
			r.WrongType(v, "a list")
		}
	}
}

// NonEmpty is Str for a text that cannot be empty.
func (r *Reader) NonEmpty(dst *string, check func(string) error) func(Value) {
	return func(v Value) {
		r.Str(dst, check)(v)
		if r.empty[v.Field] {
			r.Fail(v, "is empty", "")
		}
	}
}

// Strs returns a function that reads a list of texts, none of them empty.
func (r *Reader) Strs(dst *[]string, check func(string) error) func(Value) {
	return r.List(func(v Value) {
		var text string
		r.NonEmpty(&text, check)(v)
		*dst = append(*dst, text)
	})
}

// StrMap returns a function that reads a mapping of texts.
func (r *Reader) StrMap(dst *map[string]string) func(Value) {
	return func(v Value) {
		entries, _ := r.Entries(v)
		for _, e := range entries {
			if *dst == nil {
				*dst = map[string]string{}
			}
			text, _ := r.text(e.Value)
			(*dst)[e.Key] = text
		}
	}
}
