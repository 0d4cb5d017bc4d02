package site

import (
	"context"
	"html/template"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A syntax is as much of a language as it takes to colour it. A library that
// knows hundreds of them would make each start of fnb slower.
type syntax struct {
	line     []string // what begins a comment that ends with the line
	block    [2]string
	quotes   string // each ends a string on the same line, but for ` and """
	words    string // between spaces
	starts   bool   // only the first word of a line is a keyword
	keys     bool   // what stands before a colon is a key
	sections bool   // [section] on a line of its own
}

// syntaxOf returns the syntax of a file by its name; ok is false for a file that
// stays as it is.
func syntaxOf(file string) (syntax, bool) {
	base := strings.ToLower(path.Base(file))
	if base == "dockerfile" || strings.HasPrefix(base, "dockerfile.") || strings.HasSuffix(base, ".dockerfile") {
		return syntax{
			line: []string{"#"}, quotes: `"'`, starts: true,
			words: " FROM RUN COPY ADD ARG ENV USER WORKDIR CMD ENTRYPOINT EXPOSE LABEL SHELL VOLUME STOPSIGNAL HEALTHCHECK ONBUILD MAINTAINER ",
		}, true
	}
	c := syntax{line: []string{"//"}, block: [2]string{"/*", "*/"}, quotes: "\"'`"}
	hash := syntax{line: []string{"#"}, quotes: `"'`}
	switch strings.TrimPrefix(path.Ext(base), ".") {
	case "go":
		c.words = " break case chan const continue default defer else fallthrough for func go goto if import interface map package range return select struct switch type var nil true false iota string int int64 byte rune bool error any "
	case "js", "mjs", "cjs", "ts", "jsx", "tsx":
		c.words = " async await break case catch class const continue default delete do else export extends finally for from function if import in instanceof let new null of return static super switch this throw true false try typeof undefined var void while yield interface type readonly "
	case "java", "kt", "cs", "groovy", "gradle", "c", "h", "cpp", "rs", "swift", "php", "scala":
		c.words = " abstract as async await bool boolean break byte case catch char class const continue default do double else enum extends false final finally float fn for foreach func function if impl implements import in int interface let long match mod mut namespace new null object override package private protected pub public return self static string String struct super switch this throw throws trait true try typeof use using val var virtual void where while echo "
	case "py":
		hash.words = " and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield None True False self "
		return hash, true
	case "sh", "bash":
		hash.words = " if then else elif fi for in do done while case esac function return exit set export local exec cd echo "
		return hash, true
	case "rb":
		hash.words = " begin break case class def do else elsif end ensure false for if in module next nil not or redo require rescue return self super then true unless until when while yield "
		return hash, true
	case "yml", "yaml":
		hash.keys, hash.words = true, " true false null yes no "
		return hash, true
	case "toml", "ini", "cfg":
		hash.sections, hash.words = true, " true false "
		return hash, true
	case "json":
		return syntax{quotes: `"`, keys: true, words: " true false null "}, true
	case "mod":
		return syntax{line: []string{"//"}, words: " module go require replace exclude toolchain retract ", starts: true}, true
	case "txt", "md", "sum", "lock":
		return syntax{}, false
	default:
		if base == "gemfile" || base == "makefile" || base == ".dockerignore" || base == ".gitignore" {
			return syntax{line: []string{"#"}}, true
		}
		return syntax{}, false
	}
	return c, true
}

// highlight returns the text of a file as HTML, its parts in spans by class: k for
// a keyword, s string, c comment, n number, a key. It takes a time that grows with the
// length of the text, and the only error is that of the context.
func highlight(ctx context.Context, file, text string) (template.HTML, error) {
	syn, ok := syntaxOf(file)
	if !ok {
		return template.HTML(template.HTMLEscapeString(text)), ctx.Err() //nolint:gosec // it is escaped
	}
	p := &painter{syn: syn, text: text}
	for n := 0; p.at < len(text); n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return "", ctx.Err()
		}
		p.next()
	}
	return template.HTML(p.out.String()), nil //nolint:gosec // each part is escaped
}

// A painter goes through a text once.
type painter struct {
	syn  syntax
	text string
	at   int
	out  strings.Builder
	mid  bool // something other than space is before this on the line

	keyEnd int  // where the longest word that may be a key ends, which at is in
	isKey  bool // it is one
}

// take writes the next n bytes in a class, "" for none.
func (p *painter) take(n int, class string) {
	part := p.text[p.at : p.at+n]
	p.at += n
	if class != "" {
		p.out.WriteString(`<span class="` + class + `">`)
	}
	template.HTMLEscape(&p.out, []byte(part))
	if class != "" {
		p.out.WriteString("</span>")
	}
	if i := strings.LastIndexByte(part, '\n'); i >= 0 {
		p.mid = strings.TrimSpace(part[i:]) != ""
	} else {
		p.mid = p.mid || strings.TrimSpace(part) != ""
	}
}

func (p *painter) next() {
	rest := p.text[p.at:]
	for _, mark := range p.syn.line {
		// A # inside a word is none of a comment's.
		if strings.HasPrefix(rest, mark) && (mark != "#" || p.at == 0 || strings.ContainsRune(" \t\n;(", rune(p.text[p.at-1]))) {
			p.take(lineLength(rest), "c")
			return
		}
	}
	if open := p.syn.block[0]; open != "" && strings.HasPrefix(rest, open) {
		p.take(upTo(rest, p.syn.block[1], len(open)), "c")
		return
	}
	if p.syn.sections && !p.mid && rest[0] == '[' {
		p.take(lineLength(rest), "a")
		return
	}
	if strings.IndexByte(p.syn.quotes, rest[0]) >= 0 {
		n := stringLength(rest)
		class := "s"
		if p.syn.keys && isKey(rest[n:]) {
			class = "a"
		}
		p.take(n, class)
		return
	}
	r, size := utf8.DecodeRuneInString(rest)
	if r >= '0' && r <= '9' {
		p.take(wordLength(rest, ".+"), "n")
		return
	}
	if !isWord(r) {
		p.take(size, "")
		return
	}
	p.word(rest)
}

// word takes a word, which may be a keyword or a key.
func (p *painter) word(rest string) {
	n := wordLength(rest, "")
	class := ""
	// The parts of a-b-c end together: each text is looked at once.
	if p.syn.keys && p.at >= p.keyEnd {
		long := wordLength(rest, "-./")
		p.keyEnd, p.isKey = p.at+long, isKey(rest[long:])
	}
	switch {
	case p.syn.keys && p.isKey:
		n = p.keyEnd - p.at
		class = "a"
	case strings.Contains(p.syn.words, " "+rest[:n]+" ") && (!p.syn.starts || !p.mid):
		class = "k"
	}
	p.take(n, class)
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// isKey reports whether a colon that ends a key is next.
func isKey(rest string) bool {
	rest = strings.TrimLeft(rest, " ")
	return strings.HasPrefix(rest, ":") && (len(rest) == 1 || strings.ContainsRune(" \t\r\n\"[{", rune(rest[1])))
}

func wordLength(s, also string) int {
	n := strings.IndexFunc(s, func(r rune) bool { return !isWord(r) && !strings.ContainsRune(also, r) })
	if n < 0 {
		return len(s)
	}
	return n
}

func lineLength(s string) int {
	if n := strings.IndexByte(s, '\n'); n >= 0 {
		return n
	}
	return len(s)
}

// upTo is the length of what ends with a mark, which is looked for after from.
func upTo(s, mark string, from int) int {
	if n := strings.Index(s[from:], mark); n >= 0 {
		return from + n + len(mark)
	}
	return len(s)
}

// stringLength is the length of the string at the beginning of s.
func stringLength(s string) int {
	if triple := s[:1] + s[:1] + s[:1]; s[0] != '`' && strings.HasPrefix(s, triple) {
		return upTo(s, triple, 3)
	}
	if s[0] == '`' {
		return upTo(s, "`", 1)
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\n':
			return i
		case s[0]:
			return i + 1
		}
	}
	return len(s)
}
