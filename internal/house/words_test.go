package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What a sentence may have: docs/voice.md says why.
const (
	mostWordsDocs = 35
	mostWordsHelp = 30
)

// avoided are words that docs/voice.md has better ones for. Its own pairs, and code, are left aside.
var avoided = []struct{ pattern, better string }{
	{`\b(?:has|have) to\b`, "must"},
	{`\b[Ww]here (?:there (?:is|are)|it has|none is|nothing is|a|an|the) \w+ (?:fails|differs|exists)\b`, "if"},
	{`\bin order to\b`, "to"},
	{`\b[Pp]lease\b`, "nothing"},
	{`\b(?:utiliz|leverag)\w+`, "use"},
	{`\bin case of\b`, "if"},
	{`\be\.g\.|\bi\.e\.|\betc\.`, "such as, that is"},
}

// TestWords holds docs/voice.md for what people read: documents, and the help of commands as
// docs/reference has it.
func TestWords(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/*.md", "docs/howto/*.md", "docs/reference/*.md", "store/functions/*/README.md", "templates/official/*/README.md"} {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		most := mostWordsDocs
		if strings.HasPrefix(pattern, "docs/reference") {
			most = mostWordsHelp
		}
		for _, file := range files {
			if filepath.Base(file) == "voice.md" {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range wordProblems(string(data), most) {
				t.Errorf("%s:%s", strings.TrimPrefix(file, "../../"), problem)
			}
		}
	}
}

// avoidedSaid are words that errors, notes and hints have better ones for.
var avoidedSaid = []struct{ pattern, better string }{
	{`\b(?:is|are) none of\b`, "is not one of"},
	{`\b(?:is|are) no [a-z]+\b`, "is not a"},
	{`\bexcludes? (?:one another|each other)\b`, "cannot be used together"},
	{`\banew\b`, "again"},
	{`\b(?:is|are) to (?:be|come|have|run|say|send|go)\b`, "must"},
	{`\b[Mm]end(?:s|ed)?\b`, "correct"},
	{`\b(?:passed over|left aside|leaves aside)\b`, "skipped, ignored"},
}

// TestSaid holds docs/voice.md for what fnb says while it works: the texts in the source of
// what is shipped.
func TestSaid(t *testing.T) {
	t.Parallel()
	texts := 0
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(file), "../../")
		if d.IsDir() {
			if skipped(d.Name()) || slices.Contains(unsaid, d.Name()) || slices.Contains(unsaid, name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		said, err := saidIn(file)
		for _, s := range said {
			texts++
			for _, problem := range saidProblems(s.text) {
				t.Errorf("%s:%d: %s", name, s.line, problem)
			}
		}
		return err
	})
	if err != nil || texts < 1000 {
		t.Errorf("%d texts, %v", texts, err)
	}
}

// unsaid are folders whose Go code says nothing to a user, or is a user's.
var unsaid = []string{
	"bin", "testdata", "node_modules", "tools", "templates/official", "templates/conformance", "store/functions", "builder/buildertest",
	"internal/bench", "internal/demo", "internal/docsite", "internal/house", "internal/servers", "cmd/fwatchdog/bench",
}

// saidIn are the texts of a Go file of at least three words; not those of help, which
// docs/reference has.
func saidIn(file string) ([]paragraph, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []paragraph
	ast.Inspect(f, func(n ast.Node) bool {
		if kv, ok := n.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && (key.Name == "Long" || key.Name == "Example") {
				return false
			}
		}
		if field, ok := n.(*ast.Field); ok && field.Tag != nil {
			return false
		}
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(lit.Value)
		if err == nil && len(strings.Fields(text)) >= 3 && !strings.Contains(text, "\n") {
			all = append(all, paragraph{set.Position(lit.Pos()).Line, text})
		}
		return true
	})
	return all, nil
}

// saidProblems returns what voice.md would have said otherwise.
func saidProblems(text string) []string {
	var problems []string
	for _, sentence := range sentenceEnd.Split(text, -1) {
		if n := len(strings.Fields(sentence)); n > mostWordsHelp && !strings.HasPrefix(text, " ") { // a list of words begins with a space
			problems = append(problems, fmt.Sprintf("%d words in a sentence, at most %d: %s", n, mostWordsHelp, sentence))
		}
	}
	text = thereIs.ReplaceAllString(text, "nothing is")
	for _, a := range slices.Concat(avoided, avoidedSaid) {
		if found := regexp.MustCompile(a.pattern).FindString(text); found != "" {
			problems = append(problems, fmt.Sprintf("%q, better %s: %s", found, a.better, text))
		}
	}
	return problems
}

// thereIs begins what the rule for "is no" leaves aside.
var thereIs = regexp.MustCompile(`\b[Tt]here (?:is|are) no\b|\bis no (?:larger|longer)\b`)

// TestWordsFail holds that the rules find what they are for.
func TestWordsFail(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 20)
	for text, want := range map[string]int{
		"It has to be there.": 1, "It must be there.": 0, "Use it in order to win, e.g. today.": 2,
		long + long: 1, long + ". " + "W" + long: 0, strings.TrimSpace(long) + ": " + long: 1, "* " + long + "\n* " + long: 0,
		"```\nhas to be\n```\n": 0, "`has to be`": 0, "| a | has to be |": 1,
	} {
		if got := wordProblems(text, 35); len(got) != want {
			t.Errorf("%q: %q, want %d", text, got, want)
		}
	}
	for text, want := range map[string]int{
		"%q is no name": 1, "there is no name": 0, "it is none of %s": 1, "--a and --b exclude one another": 1,
		"what is to be run": 1, "it has to be there": 1, "correct the file": 0, long + long: 1, long + "; " + long: 0,
	} {
		if got := saidProblems(text); len(got) != want {
			t.Errorf("%q: %q, want %d", text, got, want)
		}
	}
}

var (
	codeSpan    = regexp.MustCompile("`[^`]*`")
	link        = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	item        = regexp.MustCompile(`^(?:[*-]|\d+\.)\s+`)
	fullStop    = regexp.MustCompile(`[.!?][")*]*\s+`)
	sentenceEnd = regexp.MustCompile(`[.!?][")*]*\s+|[:;]\s+`)
)

// wordProblems returns what voice.md would have written otherwise, with its line.
func wordProblems(markdown string, most int) []string {
	var problems []string
	for _, p := range paragraphs(markdown) {
		text := codeSpan.ReplaceAllString(link.ReplaceAllString(p.text, "$1"), "CODE")
		for _, sentence := range fullStop.Split(text, -1) {
			if n := len(strings.Fields(sentence)); n > most {
				problems = append(problems, fmt.Sprintf("%d: %d words in a sentence, at most %d: %s", p.line, n, most, sentence))
			}
		}
		for _, a := range avoided {
			if found := regexp.MustCompile(a.pattern).FindString(text); found != "" {
				problems = append(problems, fmt.Sprintf("%d: %q, better %s", p.line, found, a.better))
			}
		}
	}
	return problems
}

// A paragraph is a piece of text that is read in one go: also an item of a list, and a table's cell.
type paragraph struct {
	line int
	text string
}

func paragraphs(markdown string) []paragraph {
	var all []paragraph
	var open []string
	begun, code := 0, false
	end := func() {
		if len(open) > 0 {
			all = append(all, paragraph{begun, strings.Join(open, " ")})
		}
		open = nil
	}
	for i, line := range strings.Split(markdown, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			end()
			code = !code
		case code:
		case line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ">"):
			end()
		case strings.HasPrefix(line, "|"):
			end()
			for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
				all = append(all, paragraph{i + 1, cell})
			}
		default:
			if item.MatchString(line) {
				end()
			}
			if len(open) == 0 {
				begun = i + 1
			}
			open = append(open, item.ReplaceAllString(line, ""))
		}
	}
	end()
	return all
}
