// Package plain makes text from outside safe to show: on a terminal, in the log of
// a CI system, in Markdown and in JSON. Text that was checked nowhere else goes
// through it before it is shown; what it returns says the same to a reader and does
// nothing to what reads it.
//
// It stands against
//
//   - escape sequences, with which text moves the cursor, clears the screen, sets
//     the title or the clipboard of a terminal (C0, DEL and C1 characters);
//   - characters that change in which order others are shown, or that cannot be
//     seen, so that text reads as what it is not (CVE-2021-42574, "Trojan Source");
//   - lines that were made up: a carriage return, a form feed or one of Unicode's
//     line ends inside a line, which a terminal or a CI system takes for its end;
//   - commands of a CI system: "::name::" at the beginning of a line (GitHub) and
//     "##[name]", "##vso[name]", "##teamcity[name]" anywhere in it (GitHub, Azure
//     Pipelines, TeamCity), and the marks of GitLab's folded sections, which need an
//     escape sequence and a carriage return;
//   - Markdown and HTML: links, images, tables, mentions, bare addresses;
//   - bytes that are no UTF-8, which a terminal may read as C1 characters;
//   - lines without an end.
//
// All functions may be called concurrently, and take time linear in their input.
package plain

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"fnb/internal/lazyregexp"
)

const (
	// LineLimit is the most bytes that a line has.
	LineLimit = 64 << 10
	// ShortLimit is the most bytes that [Short] returns.
	ShortLimit = 500
)

// Acts reports whether a character does something other than stand for itself: all
// control characters, tab and newline too, Unicode's line ends, and its formatting
// characters, but for those Arabic and Syriac signs among them that can be seen.
func Acts(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0, r == '\u2028', r == '\u2029':
		return true
	case r < 0x80:
		return false
	}
	return unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

var (
	// Whole sequences are taken out, since "[31m" would be left of one without its
	// first character. A text that a sequence holds, such as a title, ends at the
	// next control character; that keeps the search linear.
	sequences = lazyregexp.New(`(?:\x1b\[|\x{9b})[0-?]*[ -/]*[@-~]` +
		`|(?:\x1b[\]PX^_]|[\x{9d}\x{90}\x{98}\x{9e}\x{9f}])[^\x00-\x1f\x7f-\x{9f}]*(?:\x07|\x1b\\|\x{9c})` +
		`|\x1b[ -/]*[0-~]`)
	hashes = lazyregexp.New(`##([A-Za-z]*)\[`)
)

// Line returns s as one line that acts on nothing. Ends of lines become spaces;
// tabs and spaces stay; escape sequences and other characters that act are taken
// out; bytes that are no UTF-8 become U+FFFD. A space is put into what a CI system
// would take for a command. What is longer than LineLimit ends in "…".
// Line(Line(s)) is Line(s).
func Line(s string) string {
	if harmless(s) {
		return s
	}
	long := len(s) > 2*LineLimit
	if long {
		s = s[:2*LineLimit]
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r == 0x1b || r >= 0x80 && r < 0xa0 }) {
		s = sequences.ReplaceAllString(s, "")
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case endsLine(r):
			return ' '
		case r != '\t' && Acts(r):
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
	s = strings.ToValidUTF8(s, "\uFFFD")
	if long {
		s += "…"
	}
	return cut(withoutCommands(s), LineLimit)
}

// harmless finds at once what is a safe line as it is, as most are.
func harmless(s string) bool {
	if len(s) > LineLimit || s == "" {
		return s == ""
	}
	for i := range len(s) {
		c := s[i]
		if c < ' ' && c != '\t' || c >= 0x7f || c == ':' && i < 2 || c == '#' && i > 0 && s[i-1] == '#' {
			return false
		}
	}
	return s[0] > ' '
}

func endsLine(r rune) bool {
	switch r {
	case '\n', '\v', '\f', '\r', 0x85, '\u2028', '\u2029':
		return true
	}
	return false
}

// withoutCommands breaks what a CI system would carry out.
func withoutCommands(s string) string {
	text := strings.TrimLeftFunc(s, unicode.IsSpace)
	if rest, ok := strings.CutPrefix(text, "::"); ok {
		s = s[:len(s)-len(text)] + ": :" + rest
	}
	if strings.Contains(s, "##") {
		s = hashes.ReplaceAllString(s, "## $1[")
	}
	return s
}

// cut returns at most n bytes of s, in whole characters; "…" stands for the rest.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// Lines is [Line] for a text whose lines stay, each with a newline at its end. Every
// way of ending a line counts as one, a carriage return alone as well.
func Lines(s string) string {
	var b strings.Builder
	for s = strings.ReplaceAll(s, "\r\n", "\n"); s != ""; {
		at := strings.IndexFunc(s, endsLine)
		if at < 0 {
			at = len(s)
		}
		b.WriteString(Line(s[:at]))
		b.WriteByte('\n')
		_, size := utf8.DecodeRuneInString(s[at:])
		s = s[at+size:]
	}
	return b.String()
}

// Log returns the lines of a program's output. Where a program goes back to a
// line's beginning, to draw it again, each state is a line; states in which there is
// nothing are left out.
func Log(s string) []string {
	var lines []string
	for s = strings.ReplaceAll(s, "\r\n", "\n"); s != ""; {
		at := strings.IndexAny(s, "\n\r")
		if at < 0 {
			return append(lines, Line(s))
		}
		if line := Line(s[:at]); s[at] == '\n' || strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
		s = s[at+1:]
	}
	return lines
}

// Short is [Line] for a message or a name inside a sentence: each run of white space
// is one space, none is at its ends, and what is longer than ShortLimit ends in "…".
func Short(s string) string {
	return cut(strings.Join(strings.Fields(Line(s)), " "), ShortLimit)
}

// Path returns a path as it is, or quoted where a terminal should not see it as it is.
func Path(s string) string {
	if Short(s) == s {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// JSON returns a JSON document that means the same, in which nothing acts: what acts
// inside a string is escaped, commands of a CI system too.
func JSON(data []byte) []byte {
	acts := func(r rune) bool { return r >= 0x7f && Acts(r) } // JSON itself escapes the others
	if bytes.ContainsFunc(data, acts) || !utf8.Valid(data) {
		var b bytes.Buffer
		for _, r := range string(data) {
			switch {
			case r > 0xffff && acts(r):
				fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
			case acts(r):
				fmt.Fprintf(&b, `\u%04x`, r)
			default:
				b.WriteRune(r)
			}
		}
		data = b.Bytes()
	}
	if bytes.Contains(data, []byte("##")) {
		data = hashes.ReplaceAll(data, []byte(`##$1\u005b`))
	}
	return data
}

// Markdown returns s as one line of Markdown that shows it as it is, also inside a
// table: plain words as they are, anything else as code, in which neither links,
// bare addresses and mentions nor HTML are found. Where a backslash stands before a
// bar, a space is put between them: renderers do not agree on what they mean.
func Markdown(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(Line(s), "\t", " "))
	if s == "" || words(s) {
		return s
	}
	s = strings.ReplaceAll(strings.ReplaceAll(s, `\|`, `\ |`), "|", `\|`)
	longest, run := 0, 0
	for i := range len(s) {
		if run++; s[i] != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	if s[0] == '`' || s[len(s)-1] == '`' {
		s = " " + s + " "
	}
	return fence + s + fence
}

// words reports whether s begins with a letter and is letters, digits, spaces and
// hyphens.
func words(s string) bool {
	for i, r := range s {
		if !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r) && r != ' ' && r != '-') {
			return false
		}
	}
	return true
}

// Visible returns a text for a page, in which what acts is written out, as "\u202e":
// who looks at a file has to see that it is there. Newlines and tabs stay, and so do
// the two characters that join and part the letters of some scripts and of emoji.
func Visible(s string) string {
	hidden := func(r rune) bool {
		return Acts(r) && r != '\n' && r != '\t' && r != '\u200c' && r != '\u200d'
	}
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\uFFFD")
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Error returns an error that says what err says, made [Short], and wraps it.
func Error(err error) error { return &shortError{Short(err.Error()), err} }

type shortError struct {
	text string
	err  error
}

func (e *shortError) Error() string { return e.text }
func (e *shortError) Unwrap() error { return e.err }

// Complaint is what a program has written to its standard error, line by line, each as [Line] has it. Empty lines are left
// out, those that were there already, and those of the log that Kubernetes' programs write beside what they say to people
// (klog: "E1130 09:12:55.123456 1 memcache.go:265] …"), unless there is nothing else.
func Complaint(said string) []string {
	var lines, logged []string
	for line := range strings.Lines(said) {
		to := &lines
		if line = Line(strings.TrimSpace(line)); isLogged(line) {
			to = &logged
		}
		if line != "" && !slices.Contains(*to, line) {
			*to = append(*to, line)
		}
	}
	if len(lines) == 0 {
		return logged
	}
	return lines
}

// isLogged reports whether a line is one of klog's, which begins with a letter and the date.
func isLogged(line string) bool {
	return len(line) > 5 && strings.Contains("EWIF", line[:1]) && strings.Trim(line[1:5], "0123456789") == "" && line[5] == ' '
}
