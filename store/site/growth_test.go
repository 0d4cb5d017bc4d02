package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"fnb/internal/growth"
	"fnb/schema"
)

func repeat(part string, size int) string { return strings.Repeat(part, size/len(part)) }

// TestGrowth paints and renders what attackers would write: the time and the memory
// grow with the length of a text.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	for _, file := range []string{"a.yml", "a.json", "a.go", "a.py", "a.toml", "Dockerfile", "a.mod", "Makefile"} {
		readers = append(readers, growth.Reader{Name: file, Size: maxFile, Begin: func(size int) func() {
			var texts []string
			for _, part := range []string{
				"a-", "a.b/", "1.", "1-a", `"`, `"a" `, `'\`, "`", "/*", "*/", "//", "[", "\n[", "#", " #", "a: ", `"""`, "'''\n", "é", "\xff", "a  ", "\n", "FROM ", "\n  a-b ",
			} {
				texts = append(texts, repeat(part, size), "a-"+repeat(part, size), `"`+repeat(part, size))
			}
			return func() {
				for _, text := range texts {
					paint(t, file, text)
				}
			}
		}})
	}
	// Just below what is not parsed at all.
	deep := []string{}
	for _, part := range []string{"*a_b", "*_", "~~a*", "[", "![", "[a](", "[a](<", "[a][b]", "[a]: b "} {
		deep = append(deep, repeat(part, 900*len(part))+"\n\n")
	}
	for _, part := range []string{"> ", "- ", "1. ", "- > "} {
		deep = append(deep, repeat(part, 38*len(part))+"a\n", repeat(part, 38*len(part))+"\n\n")
	}
	for _, part := range append(deep, []string{
		"[", "]", "*a ", "*", "**a", "_a_ ", "> ", ">", "<a ", "<", "<!--", "<?", "<![CDATA[", "`", "`a``", "[a](", "[a](b ", "[a]: b\n", "[a][b] ", "1. ", "- > ", "- ", "-\n", "![", "![a](b)", "a|", "|-", "a|b\n-|-\n", "| a\n", "~a ", "~~a", "~~a~~",
		"\\", "&a", "&#1;", "http://a ", "www.a.b ", "a@b.c ", "# a\n", "a\n===\n", "```yaml\na-", "```\n", "\t", "  \n", "\n", "a\n", "é", "\x00", "(", "[a](<", "![[]()", "a* b_ ", "***a** ", "1. a\n\n", "* a\n ", "> a\n\n", "[x]: <\n", "www.a(", "http://a.b/)&amp;",
		"**a *b ***c _d __e ", "*a_b", "a_b", "*_~", "*a*_b_~~c~~", "[a*b]c_", "<a b='", "<a b=\"c\" ", "</a", "<!A", "<!-- a -- ", "&#x", "a\\\n", "\u2003*a", "***", "- a\n\n      b\n", "|a|b|\n", "a | b\n", "<div>\n", "<script>\n", "<pre\n", "    a\n\n",
	}...) {
		readers = append(readers, rendered(t, part, func(size int) string { return repeat(part, size) }))
	}
	for _, mark := range []string{"`", "*", "~", "[", "(", ":", "|", "<"} {
		readers = append(readers, rendered(t, "runs of "+mark, func(size int) string { return runs(mark, size) }))
	}
	growth.Check(t, readers...)
}

// runs is runs of a mark of more and more lengths, none of which is there again.
func runs(mark string, size int) string {
	var b strings.Builder
	for n := 1; b.Len()+n < size; n++ {
		b.WriteString(repeat(mark, n) + "a ")
	}
	return b.String()
}

func rendered(t *testing.T, name string, text func(size int) string) growth.Reader {
	return growth.Reader{Name: fmt.Sprintf("%.40q", name), Size: MaxREADME, Begin: func(size int) func() {
		text := text(size)
		return func() {
			if _, err := markdown(t.Context(), text); err != nil {
				t.Error(err)
			}
		}
	}}
}

// TestPageIsBounded has a template with very many long files.
func TestPageIsBounded(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	m := schema.Template{Name: "acme/many"}
	for n := range maxFiles {
		name := fmt.Sprintf("f%02d.yml", n)
		files[name] = &fstest.MapFile{Data: []byte(repeat("a-", 2*maxFile))}
		m.Handler.Files = append(m.Handler.Files, name)
		m.Entrypoint.Files = append(m.Entrypoint.Files, name)
	}
	d := DescribeFiles(Item{Kind: KindTemplate, Name: "acme/many"}, Files{m, files})
	shown, without := 0, 0
	for _, p := range d.Parts {
		for _, f := range p.Files {
			shown += len(f.Text)
			if strings.Contains(f.Note, "a page shows 1.0 MB of files at most") {
				without++
			}
		}
	}
	if shown > maxShown || shown < maxShown-maxFile || without < maxFiles {
		t.Errorf("%d bytes are shown, and %d files are not", shown, without)
	}
	s := &sample{}
	s.add(d)
	status, page := get(t, newServer(t, s, nil), "/t/acme/many.html")
	if status != http.StatusOK || len(page) > 3*maxShown {
		t.Errorf("%d, and %d bytes", status, len(page))
	}
}

// TestPageEndsWithItsReader asks for a page and goes away: neither a file nor a README
// is rendered for nobody.
func TestPageEndsWithItsReader(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	sh, err := newShell(shell{store: "x"})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	c := newCatalogue(nil)
	for name, d := range map[string]Detail{
		"a README": {README: "a"}, "code in a README": {README: "```yaml\na: b\n```"},
		"a file": {Parts: []Part{{Files: []File{{Path: "a.yml", Text: "a"}}}}}, "a text": {Parts: []Part{{Files: []File{{Path: "a", Text: "a"}}}}},
	} {
		if data, err := sh.detail(ctx, c, d, "", detailPage{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %d bytes and %v", name, len(data), err)
		}
	}
	// It is noticed in the middle of one as well.
	late := &ending{Context: t.Context(), after: 2}
	if _, err := highlight(late, "a.yml", repeat("a: ", maxFile)); !errors.Is(err, context.Canceled) {
		t.Errorf("a file: %v", err)
	}
	late = &ending{Context: t.Context(), after: 3}
	if _, err := markdown(late, "```yaml\n"+repeat("a: ", maxFile)+"\n```"); !errors.Is(err, context.Canceled) {
		t.Errorf("a README: %v", err)
	}
}

// An ending context ends when it was asked some times.
type ending struct {
	context.Context
	after int
}

func (e *ending) Err() error {
	if e.after--; e.after < 0 {
		return context.Canceled
	}
	return nil
}
