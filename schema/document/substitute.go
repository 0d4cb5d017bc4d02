package document

import (
	"errors"
	"fmt"
	"strings"

	"fnb/internal/lazyregexp"
)

var variableName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// An UnsetError is a variable that a value needs and that is not set.
type UnsetError struct{ Name string }

func (e *UnsetError) Error() string {
	return fmt.Sprintf("the environment variable %s is not set, and there is no default as in ${%s:-default}", e.Name, e.Name)
}

// An Unset is a text of a document that needs a variable which is not set.
type Unset struct {
	Within  string // what was being read, as the reader's caller says
	Problem *FieldError
}

// SubstituteIn returns a function that replaces, in a text, ${VAR} by the value
// of VAR, ${VAR:-default} by default where VAR is unset or empty, and $$ by $.
// A default may hold ${…} itself. Any other $ is a $.
func SubstituteIn(env func(string) (string, bool)) func(string) (string, error) {
	return func(text string) (string, error) {
		out, rest, err := expand(text, env, 0)
		if err == nil && rest != "" {
			out += rest
		}
		return out, err
	}
}

// expand returns text replaced up to its end or, inside of ${…} (depth > 0), up
// to the closing brace, and what follows that.
func expand(text string, env func(string) (string, bool), depth int) (out, rest string, err error) {
	if depth > 10 {
		return "", "", errors.New("${…} is nested too deeply")
	}
	var b strings.Builder
	for text != "" {
		stop := "$"
		if depth > 0 {
			stop = "$}"
		}
		i := strings.IndexAny(text, stop)
		if i < 0 {
			b.WriteString(text)
			text = ""
			break
		}
		b.WriteString(text[:i])
		text = text[i:]
		switch {
		case text[0] == '}':
			return b.String(), text[1:], nil
		case strings.HasPrefix(text, "$$"):
			b.WriteByte('$')
			text = text[2:]
		case strings.HasPrefix(text, "${"):
			var s string
			if s, text, err = expandVariable(text[2:], env, depth); err != nil {
				return "", "", err
			}
			b.WriteString(s)
		default:
			b.WriteByte('$')
			text = text[1:]
		}
	}
	if depth > 0 {
		return "", "", errors.New("a ${ has no closing }")
	}
	return b.String(), "", nil
}

// expandVariable replaces the variable whose name text starts with.
func expandVariable(text string, env func(string) (string, bool), depth int) (out, rest string, err error) {
	end := strings.IndexAny(text, ":}")
	if end < 0 {
		return "", "", errors.New("a ${ has no closing }")
	}
	name := text[:end]
	if !variableName.MatchString(name) {
		return "", "", fmt.Errorf("${%s is not understood: write ${VAR} or ${VAR:-default}, and $$ for a $", name)
	}
	set, isSet := env(name)
	if text[end] == '}' {
		if !isSet {
			return "", "", &UnsetError{name}
		}
		return set, text[end+1:], nil
	}
	if !strings.HasPrefix(text[end:], ":-") {
		return "", "", fmt.Errorf("${%s: is not understood: write ${VAR} or ${VAR:-default}, and $$ for a $", name)
	}
	fallback := env
	if set != "" { // the default is not used, and what it needs need not be set
		fallback = func(string) (string, bool) { return "", true }
	}
	out, rest, err = expand(text[end+2:], fallback, depth+1)
	if set != "" {
		out = set
	}
	return out, rest, err
}
