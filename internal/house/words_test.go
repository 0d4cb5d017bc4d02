package house

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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
	{`\b(?:has|have) to (?:be|have|say|ignore|cover|pass|begin|come|name|choose|do)\b`, "must"},
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
	for _, pattern := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/*.md", "docs/howto/*.md", "docs/reference/*.md"} {
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

// TestWordsFail holds that the rules find what they are for.
func TestWordsFail(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 20)
	for text, want := range map[string]int{
		"It has to be there.": 1, "It must be there.": 0, "Use it in order to win, e.g. today.": 2,
		long + long: 1, long + ". " + "W" + long: 0, long + ": " + long: 0, "* " + long + "\n* " + long: 0,
		"```\nhas to be\n```\n": 0, "`has to be`": 0, "| a | has to be |": 1,
	} {
		if got := wordProblems(text, 35); len(got) != want {
			t.Errorf("%q: %q, want %d", text, got, want)
		}
	}
}

var (
	codeSpan    = regexp.MustCompile("`[^`]*`")
	link        = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	item        = regexp.MustCompile(`^(?:[*-]|\d+\.)\s+`)
	sentenceEnd = regexp.MustCompile(`[.!?][")*]*\s+|[:;]\s+`)
)

// wordProblems returns what voice.md would have written otherwise, with its line.
func wordProblems(markdown string, most int) []string {
	var problems []string
	for _, p := range paragraphs(markdown) {
		text := codeSpan.ReplaceAllString(link.ReplaceAllString(p.text, "$1"), "CODE")
		for _, sentence := range sentenceEnd.Split(text, -1) {
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
