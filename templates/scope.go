package templates

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"fnb/internal/lazyregexp"
)

// isRemote reports whether ADD takes a source from elsewhere than the build context: by
// URL, or from a git repository in ssh's short form.
func isRemote(source string) bool {
	return strings.Contains(source, "://") || scpLike.MatchString(source)
}

var (
	scpLike = lazyregexp.New(`^[\w.-]+@[\w.-]+:`)
	leading = lazyregexp.New(`^\$\{?([A-Za-z_][A-Za-z0-9_]*)`)
	// platformArg is a variable that the builder sets, to nothing that is a URL.
	platformArg = lazyregexp.New(`^(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT|STAGE)$`)
)

// A scope is the variables that are set at one place of a Dockerfile.
type scope struct {
	values map[string]string
	args   map[string]string // build args that are given
	empty  map[string]bool   // variables without a value, which cannot begin as a URL does
	lex    *shell.Lex

	longest int   // bytes of a value
	tooLong *bool // a word would have become too long
}

// variables are values as the builder's lexer asks for them.
type variables map[string]string

// Get implements [shell.EnvGetter].
func (v variables) Get(key string) (string, bool) {
	value, ok := v[key]
	return value, ok
}

// Keys implements [shell.EnvGetter].
func (v variables) Keys() []string { return slices.Sorted(maps.Keys(v)) }

func newScope(escape rune, args map[string]string) *scope {
	return &scope{values: map[string]string{}, args: args, empty: map[string]bool{}, lex: shell.NewLex(escape), tooLong: new(bool)}
}

// inside returns the empty scope of a stage.
func (s *scope) inside() *scope {
	return &scope{values: map[string]string{}, args: s.args, empty: map[string]bool{}, lex: s.lex, tooLong: s.tooLong}
}

func (s *scope) set(key, value string) {
	s.values[key] = value
	s.longest = max(s.longest, len(value))
}

// process replaces the variables of a word. One that would become too long has no value.
func (s *scope) process(word string) (result string, missing map[string]struct{}, err error) {
	if strings.Count(word, "$")*s.longest > maxValue {
		*s.tooLong = true
		return "", nil, errors.New("the value is too long")
	}
	return s.lex.ProcessWord(word, variables(s.values))
}

// declare gives a build arg its value: the one that is given, or else its default.
func (s *scope) declare(a instructions.KeyValuePairOptional) {
	if given, ok := s.args[a.Key]; ok {
		s.set(a.Key, given)
	} else if a.Value == nil {
		s.empty[a.Key] = true
	} else {
		s.assign(a.Key, *a.Value)
	}
}

// assign gives a variable the value that word has; none where nobody knows it, and then
// the variable has none either, whatever it was before.
func (s *scope) assign(key, word string) {
	if value, known := s.try(word); known {
		s.set(key, value)
		return
	}
	delete(s.values, key)
	s.empty[key] = !isRemote(word) && !s.mayBeRemote(word)
}

// expand returns word with its variables replaced, or word as it is where one
// of them has neither a value nor a default.
func (s *scope) expand(word string) string {
	result, ok := s.try(word)
	if !ok {
		return word
	}
	return result
}

// unquoted is expand, without the quotes of a word that has no value yet.
func (s *scope) unquoted(word string) string {
	if result, ok := s.try(word); ok {
		return result
	}
	return strings.Trim(word, `"'`)
}

func (s *scope) try(word string) (string, bool) {
	result, missing, err := s.process(word)
	if err != nil {
		return "", false
	}
	for name := range missing {
		if !strings.Contains(word, "${"+name+":-") && !strings.Contains(word, "${"+name+"-") {
			return "", false
		}
	}
	return result, true
}

// mayBeRemote reports whether a source of ADD whose value nobody knows may turn out to
// be a URL: where it begins with a variable that the base image may have set.
func (s *scope) mayBeRemote(source string) bool {
	m := leading.FindStringSubmatch(source)
	return m != nil && !platformArg.MatchString(m[1]) && !s.empty[m[1]]
}

// sources returns the paths in the build context that COPY or ADD is given.
func (s *scope) sources(words []string) []string {
	var list []string
	for _, w := range words {
		p, ok := s.try(w)
		if !ok || isRemote(p) {
			continue
		}
		list = append(list, p)
	}
	return list
}
