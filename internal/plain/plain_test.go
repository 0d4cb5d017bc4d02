package plain

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"fnb/internal/growth"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                         "",
		"plain words":                              "plain words",
		"  indented\twith a tab":                   "  indented\twith a tab",
		"two\r\nlines\nand\rmore":                  "two lines and more",
		"a\vb\fc\u0085d\u2028e\u2029f":             "a b c d e f",
		"\x1b[31mred\x1b[0m":                       "red",
		"\x1b]0;title\x07t\x1b]2;u\x1b\\v":         "tv",
		"\x1b]52;c;Zm5i\x07clip":                   "clip",
		"\x1b]52;c;Zm5i without an end":            "52;c;Zm5i without an end",
		"\x1b]8;;http://evil\x1b\\a\x1b]8;;\x1b\\": "a",
		"\x1bP+q\x1b\\dcs":                         "dcs",
		"\x1bc\x1b(B\x1b7reset":                    "reset",
		"\u009b2Jc1 \u009d0;x\u009cosc":            "c1 osc",
		"\x1b[2":                                   "2",
		"\x1b":                                     "",
		"bell\x07 nul\x00 del\x7f back\b":          "bell nul del back",
		"a\u202eb\u200bc\ufeffd\u2066e\u061cf":     "abcdef",
		"soft\u00adhyphen\u2060\U000e0041":         "softhyphen",
		"\u0600\u06dd are signs":                   "\u0600\u06dd are signs",
		"bad \xff\x9b31m utf-8":                    "bad \ufffd\ufffd31m utf-8",
		"Überlauf – 日本":                            "Überlauf – 日本",
		"::set-output name=x::y":                   ": :set-output name=x::y",
		" \t::stop-commands::y":                    " \t: :stop-commands::y",
		"\x1b[0m\u200b::error::y":                  ": :error::y",
		"\n::error::y":                             " : :error::y",
		":::x":                                     ": ::x",
		"a::b and ::c":                             "a::b and ::c",
		"a ##[set-output name=x;]y":                "a ## [set-output name=x;]y",
		"##\x1b[0m[error]":                         "## [error]",
		"#\u200b#[error]":                          "## [error]",
		"##vso[task.setvariable]##teamcity[x]":     "## vso[task.setvariable]## teamcity[x]",
		"###[x] ##a##[y]":                          "### [x] ##a## [y]",
		"## heading, # [x]":                        "## heading, # [x]",
		"x\r::set-output name=images::evil":        "x ::set-output name=images::evil",
		"section_start:1:x\r\x1b[0Kforged":         "section_start:1:x forged",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{strings.Repeat("ü", LineLimit), strings.Repeat("x", 10*LineLimit), strings.Repeat("\x1b[m", 3*LineLimit)} {
		got := Line(in)
		if len(got) > LineLimit || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") || Line(got) != got {
			t.Errorf("a line of %d bytes became one of %d", len(in), len(got))
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "",
		"a":                       "a\n",
		"a\n\nb\n":                "a\n\nb\n",
		"a\r\nb\rc\u2028d":        "a\nb\nc\nd\n",
		"a\r::error::b\n":         "a\n: :error::b\n",
		"  ::error::b\n##[x]\x1b": "  : :error::b\n## [x]\n",
	} {
		if got := Lines(in); got != want {
			t.Errorf("Lines(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"":                           nil,
		"a\nb\n":                     {"a", "b"},
		"a\n\nb":                     {"a", "", "b"},
		"\r 10%\r 50%\r100%\r\ndone": {" 10%", " 50%", "100%", "done"},
		"50%\r\x1b[K\r\r\n":          {"50%", ""},
		"x\r::error::y\n":            {"x", ": :error::y"},
	} {
		if got := Log(in); !reflect.DeepEqual(got, want) {
			t.Errorf("Log(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" two\r\nlines\tand a tab ": "two lines and a tab",
		"\x00nul\x7f":               "nul",
		"\x1b[31mred\x1b[0m":        "red",
	} {
		if got := Short(in); got != want {
			t.Errorf("Short(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Short(strings.Repeat("ü", 10_000)); len(got) > ShortLimit || !utf8.ValidString(got) {
		t.Errorf("a long message has %d bytes", len(got))
	}
	was := errors.New("a\x1b[2J\nb")
	if err := Error(was); err.Error() != "a b" || !errors.Is(err, was) {
		t.Errorf("the error is %q", err)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"a":"b"}`:                 `{"a":"b"}`,
		"\"a\u009b2J\u202e\u007f\"": `"a\u009b2J\u202e\u007f"`,
		"\"\U000e0041\u2028\"":      `"\udb40\udc41\u2028"`,
		`"##[error]##vso[x]"`:       `"##\u005berror]##vso\u005bx]"`,
		"[\n\t\"ü\"\n]":             "[\n\t\"ü\"\n]",
		"\"\xff\"":                  "\"\ufffd\"",
	} {
		if got := string(JSON([]byte(in))); got != want {
			t.Errorf("JSON(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                 "",
		"the registry has it":              "the registry has it",
		"hello-2":                          "hello-2",
		"- item":                           "`- item`",
		`\[click](https://evil.example)`:   "`\\[click](https://evil.example)`",
		"https://evil.example":             "`https://evil.example`",
		"www.evil.example @acme #12 a@b.c": "`www.evil.example @acme #12 a@b.c`",
		"<img src=x onerror=y>":            "`<img src=x onerror=y>`",
		"a|b\nc":                           "`a\\|b c`",
		`a\|b \\|c`:                        "`a\\ \\|b \\\\ \\|c`",
		"`x` ``y``":                        "``` `x` ``y`` ```",
		"`":                                "`` ` ``",
		"**b**\x1b[1m_i_":                  "`**b**_i_`",
		`ends in \`:                        "`ends in \\`",
	} {
		if got := Markdown(in); got != want {
			t.Errorf("Markdown(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a\r\nb\tc":                  "a\nb\tc",
		"a\u202eb\x1b[2J\rc":         `a\u202eb\u001b[2J\u000dc`,
		"\U0001f468\u200d\U0001f469": "\U0001f468\u200d\U0001f469",
		"bad \xff":                   "bad \ufffd",
	} {
		if got := Visible(in); got != want {
			t.Errorf("Visible(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWriter(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", LineLimit/2+10)
	for _, c := range []struct {
		in   []string
		want string
	}{
		{[]string{"a\nb", "c\n"}, "| a\n| bc\n"},
		{[]string{"no end"}, "| no end\n"},
		{[]string{"50%\r", "\nnext\n"}, "| 50%\n| next\n"},
		{[]string{"50%\r", "100%\r", "\x1b[31mred\n"}, "| 50%\n| 100%\n| red\n"},
		{[]string{"x\r", "::error::y"}, "| x\n| : :error::y\n"},
		{[]string{"x" + long}, "| x" + strings.Repeat("é", LineLimit/2-1) + "\n| " + strings.Repeat("é", 11) + "\n"},
		{[]string{""}, ""},
	} {
		var out strings.Builder
		w := NewWriter(&sync.Mutex{}, &out, "| ")
		for _, s := range c.in {
			if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
				t.Fatalf("took %d of %d bytes: %v", n, len(s), err)
			}
		}
		if err := w.Close(); err != nil || out.String() != c.want {
			t.Errorf("%.40q became %.80q (%v), want %.80q", c.in, out.String(), err, c.want)
		}
	}
}

// What is worst for each function takes a time that grows with its length. It is not
// parallel: it measures.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	for _, piece := range []string{"\x1b[", "\u009d\u009bm", "\x1b]0;", "##a", "::", "\r", "`|", `\|`, "\u202e", "\xff"} {
		readers = append(readers, growth.Reader{Name: fmt.Sprintf("%q", piece), Size: 32 << 10, Begin: func(n int) func() {
			s := strings.Repeat(piece, n/len(piece))
			return func() {
				_, _, _, _, _ = Lines(s), Log(s), Short(s), Markdown(s), Visible(s)
				JSON([]byte(s))
			}
		}})
	}
	growth.Check(t, readers...)
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{
		"a\x1b[2Jb", "x\r::set-output name=images::evil", "##[set-output name=built;]evil", "\u009d0;t\u009c##vso[x]", "::stop-commands::x",
		"\xff\x9b\u202e\u2028", "section_start:1:x\r\x1b[0K", `\[x](http://a)|b`, "``|\\|`", "\U000e0041",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, do := range map[string]func(string) string{"Line": Line, "Lines": Lines, "Short": Short} {
			got := do(s)
			quiet(t, name, s, got)
			if again := do(got); again != got {
				t.Errorf("%s(%q) = %q, and again %q", name, s, got, again)
			}
		}
		quiet(t, "Markdown", s, Markdown(s))
		for _, line := range Log(s) {
			quiet(t, "Log", s, line+"\n")
		}
		if got := Visible(s); !utf8.ValidString(got) || Visible(got) != got {
			t.Errorf("Visible(%q) = %q", s, got)
		}
		document, err := json.Marshal(map[string]string{s: s})
		if err != nil {
			t.Fatal(err)
		}
		var want, got map[string]string
		made := JSON(document)
		quiet(t, "JSON", s, string(made))
		if err := errors.Join(json.Unmarshal(document, &want), json.Unmarshal(made, &got)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q became %q: %v", document, made, err)
		}
	})
}

// quiet says what in a text acts on a terminal or a CI system.
func quiet(t *testing.T, name, from, got string) {
	t.Helper()
	if !utf8.ValidString(got) {
		t.Errorf("%s(%q) = %q is no UTF-8", name, from, got)
	}
	if name != "Lines" && strings.Contains(strings.TrimSuffix(got, "\n"), "\n") {
		t.Errorf("%s(%q) = %q has lines", name, from, got)
	}
	for line := range strings.Lines(got) {
		line = strings.TrimSuffix(line, "\n")
		if strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && Acts(r) }) {
			t.Errorf("%s(%q) = %q acts", name, from, got)
		}
		if strings.HasPrefix(strings.TrimSpace(line), "::") || hashes.MatchString(line) {
			t.Errorf("%s(%q) = %q commands", name, from, got)
		}
	}
}

func TestComplaint(t *testing.T) {
	t.Parallel()
	const logged = "E1130 09:12:55.123456       1 memcache.go:265] \"Unhandled\""
	for _, tt := range []struct {
		said string
		want []string
	}{
		{"", nil},
		{"\n \n", nil},
		{logged + "\nerror: gone\n\nerror: gone\n", []string{"error: gone"}},
		{logged + "\n" + logged, []string{logged}},
		{"E1130\nWhat now\n\x1b[2Jred", []string{"E1130", "What now", "red"}},
	} {
		if got := Complaint(tt.said); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.said, got, tt.want)
		}
	}
}
