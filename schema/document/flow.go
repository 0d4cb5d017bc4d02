package document

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// joinPlain makes one text of each host:port that stands in brackets somewhere inside braces, as
// YAML 1.2 reads it: the lexer takes it for a key and its value, though no space is behind the
// colon. What it cannot join so, a key with a colon in it, is a problem.
func joinPlain(tokens token.Tokens) (token.Tokens, *FieldError) {
	var all token.Tokens
	var open []token.Type // brackets and braces
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open = append(open, t.Type)
		case token.SequenceEndType, token.MappingEndType:
			open = open[:max(len(open)-1, 0)]
		}
		if len(open) > 0 && i+2 < len(tokens) && split(t, tokens[i+1], tokens[i+2]) {
			text := t.Value + ":" + tokens[i+2].Value
			if key, _, isKey := strings.Cut(text+" ", ": "); isKey {
				return nil, &FieldError{Line: t.Position.Line, Column: t.Position.Column, Problem: fmt.Sprintf("inside braces a key with a colon must be in quotes: %q", key)}
			}
			if open[len(open)-1] == token.SequenceStartType {
				t = token.String(text, t.Origin+":"+tokens[i+2].Origin, t.Position)
				i += 2
			}
		}
		all.Add(t)
	}
	return all, nil
}

// split reports whether three tokens are one text without quotes that has a colon in it.
func split(before, colon, after *token.Token) bool {
	plain := before.CharacterType == token.CharacterTypeMiscellaneous && after.CharacterType == token.CharacterTypeMiscellaneous
	return plain && colon.Type == token.MappingValueType && beside(before, colon) && beside(colon, after)
}

func beside(a, b *token.Token) bool {
	return a.Position.Line == b.Position.Line && a.Position.Column+utf8.RuneCountInString(a.Value) == b.Position.Column
}
