package schema

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A pair is one key of a mapping that is going to be written. Its value is a
// string, a bool, a []string, a []pair or a [][]pair.
type pair struct {
	key   string
	value any
}

// functionPairs returns what a stack file says of fn, without what it leaves out.
func functionPairs(fn Function) []pair {
	all := []pair{
		{"lang", fn.Lang},
		{"handler", fn.Handler},
		{"image", fn.Image},
		{"skip_build", fn.SkipBuild},
		{"build_options", fn.BuildOptions},
		{"build_args", mapPairs(fn.BuildArgs)},
		{"build_secrets", mapPairs(fn.BuildSecrets)},
		{"platforms", fn.Platforms.String()},
		{"watchdog", fn.Watchdog},
		{"fprocess", fn.FProcess},
		{"environment", mapPairs(fn.Environment)},
		{"environment_file", fn.EnvironmentFile},
		{"secrets", fn.Secrets},
		{"constraints", fn.Constraints},
		{"labels", mapPairs(fn.Labels)},
		{"annotations", mapPairs(fn.Annotations)},
		{"limits", resourcePairs(fn.Limits)},
		{"requests", resourcePairs(fn.Requests)},
		{"readonly_root_filesystem", fn.ReadOnlyRootFilesystem},
		{"namespace", fn.Namespace},
		{"test", testPairs(fn.Test)},
	}
	return slices.DeleteFunc(all, func(p pair) bool {
		switch v := p.value.(type) {
		case string:
			return v == ""
		case bool:
			return !v
		case []string:
			return len(v) == 0
		case []pair:
			return len(v) == 0
		}
		return true
	})
}

func mapPairs(m map[string]string) []pair {
	var pairs []pair
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, pair{k, m[k]})
	}
	return pairs
}

func resourcePairs(r *Resources) []pair {
	if r == nil {
		return nil
	}
	return slices.DeleteFunc([]pair{{"memory", r.Memory}, {"cpu", r.CPU}}, func(p pair) bool { return p.value == "" })
}

func testPairs(t *FunctionTest) []pair {
	if t == nil {
		return nil
	}
	pairs := []pair{{"target", t.Target}, {"skip", t.Skip}}
	if len(t.Skip) == 0 {
		pairs = pairs[:1]
	}
	if t.Target == "" {
		pairs = pairs[1:]
	}
	return pairs
}

// blockYAML returns the lines of a mapping, each level indented by step spaces more.
func blockYAML(pairs []pair, step int) []string {
	var lines []string
	indent := strings.Repeat(" ", step)
	for _, p := range pairs {
		key := scalarYAML(p.key, false) + ":"
		switch v := p.value.(type) {
		case []pair:
			lines = append(lines, key)
			for _, line := range blockYAML(v, step) {
				lines = append(lines, indent+line)
			}
		case []string:
			lines = append(lines, key)
			for _, item := range v {
				lines = append(lines, indent+"- "+scalarYAML(item, false))
			}
		case [][]pair:
			lines = append(lines, key)
			for _, item := range v {
				for i, line := range blockYAML(item, step) {
					lines = append(lines, indent+map[bool]string{true: "- ", false: "  "}[i == 0]+line)
				}
			}
		case string:
			lines = append(lines, key+" "+scalarYAML(v, false))
		default:
			lines = append(lines, key+" "+flowYAML(v))
		}
	}
	return lines
}

// flowYAML returns a value on one line.
func flowYAML(value any) string {
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
	case [][]pair:
		for _, item := range v {
			words = append(words, flowYAML(item))
		}
		return "[" + strings.Join(words, ", ") + "]"
	case []pair:
		for _, p := range v {
			words = append(words, scalarYAML(p.key, true)+": "+flowYAML(p.value))
		}
		return "{" + strings.Join(words, ", ") + "}"
	}
	return "null"
}

var (
	plainText = regexp.MustCompile(`^(\.{0,2}/)?[A-Za-z_][A-Za-z0-9_./@^~+-]*(:[A-Za-z0-9_./@^~+-]+)*(,[A-Za-z0-9_./:-]*[A-Za-z0-9])*$`)
	yamlWord  = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|y|n|null)$`)
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
