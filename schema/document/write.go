package document

import (
	"encoding/json"
	"strings"

	"fnb/internal/lazyregexp"
)

// A Pair is one key of a mapping that is going to be written. Its value is a
// string, a bool, a []string, a []Pair or a [][]Pair.
type Pair struct {
	Key   string
	Value any
}

// Block returns the lines of a mapping, each level indented by step spaces more.
func Block(pairs []Pair, step int) []string {
	var lines []string
	indent := strings.Repeat(" ", step)
	for _, p := range pairs {
		key := scalarYAML(p.Key, false) + ":"
		switch v := p.Value.(type) {
		case []Pair:
			lines = append(lines, key)
			for _, line := range Block(v, step) {
				lines = append(lines, indent+line)
			}
		case []string:
			lines = append(lines, key)
			for _, item := range v {
				lines = append(lines, indent+"- "+scalarYAML(item, false))
			}
		case [][]Pair:
			lines = append(lines, key)
			for _, item := range v {
				for i, line := range Block(item, step) {
					lines = append(lines, indent+map[bool]string{true: "- ", false: "  "}[i == 0]+line)
				}
			}
		case string:
			lines = append(lines, key+" "+scalarYAML(v, false))
		default:
			lines = append(lines, key+" "+Flow(v))
		}
	}
	return lines
}

// Flow returns a value on one line.
func Flow(value any) string {
	var words []string
	switch v := value.(type) {
	case bool:
		if v {
			return "true"
		}
		return "false"
	case string:
		return scalarYAML(v, true)
	case []string:
		for _, item := range v {
			words = append(words, scalarYAML(item, true))
		}
		return "[" + strings.Join(words, ", ") + "]"
	case [][]Pair:
		for _, item := range v {
			words = append(words, Flow(item))
		}
		return "[" + strings.Join(words, ", ") + "]"
	case []Pair:
		for _, p := range v {
			words = append(words, scalarYAML(p.Key, true)+": "+Flow(p.Value))
		}
		return "{" + strings.Join(words, ", ") + "}"
	}
	return "null"
}

var (
	plainText = lazyregexp.New(`^(\.{0,2}/)?[A-Za-z_][A-Za-z0-9_./@^~+-]*(:[A-Za-z0-9_./@^~+-]+)*(,[A-Za-z0-9_./:-]*[A-Za-z0-9])*$`)
	yamlWord  = lazyregexp.New(`^(?i:true|false|yes|no|on|off|y|n|null)$`)
)

// scalarYAML returns s as YAML: as it is where no reader of YAML, old or new,
// can take it for anything else than this text, and in double quotes otherwise.
func scalarYAML(s string, flow bool) string {
	if plainText.MatchString(s) && !yamlWord.MatchString(s) && !(flow && strings.ContainsAny(s, ",:")) {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b) // a JSON string is a YAML string
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // a string always is JSON
	}
	// DEL is printable to JSON and not to YAML.
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}
