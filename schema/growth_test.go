package schema_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"fnb/internal/growth"
	"fnb/schema"
	"fnb/schema/settings"
)

// many is as many lines as a text of the size has room for; # in them is their number.
func many(size int, before, format string) string {
	var b strings.Builder
	b.WriteString(before)
	for n := 0; b.Len() < size; n++ {
		if n%1999 == 1998 && strings.Contains(format, "#") && strings.Contains(before, ":\n") {
			fmt.Fprintf(&b, "more%d:\n", n) // as many keys as a mapping may have
		}
		b.WriteString(strings.ReplaceAll(format, "#", strconv.Itoa(n)))
	}
	return b.String()
}

// TestGrowth reads what attackers would write: the time and the memory grow with the
// length of a file.
func TestGrowth(t *testing.T) {
	yaml := map[string]func([]byte) error{
		"stack":    func(data []byte) error { _, err := schema.ParseStack("s", data, environment); return err },
		"template": func(data []byte) error { _, err := schema.ParseManifest("s", data); return err },
		"function": func(data []byte) error { _, err := schema.ParseFunctionFile("s", data); return err },
		"edit": func(data []byte) error {
			_, err := schema.AddFunction(data, hello())
			return err
		},
	}
	var readers []growth.Reader
	for _, c := range []struct {
		by, what, before, line string
		size                   int
	}{
		{"stack edit", "functions", "functions:\n", "  f#: {lang: go, handler: ./f, image: i}\n", 180_000},
		{"template", "unknown keys", "", "key#: x\n", 240_000},
		{"stack", "one key again", "functions:\n  a:\n", "    lang: x\n", 240_000},
		{"template", "anchors", "a:\n", "- &a# x\n- *a#\n", 240_000},
		{"stack edit", "merges", "a: &a {b: c, d: e}\nfunctions:\n", "  f#:\n    <<: *a\n", 180_000},
		{"template", "wrong tags", "", "- !x# y\n", 240_000},
		{"stack", "dollars", "functions:\n  a:\n    fprocess: \"", "$", 1_000_000},
		{"stack", "open variables", "functions:\n  a:\n    fprocess: \"", "${A", 1_000_000},
		{"stack", "defaults", "functions:\n  a:\n    fprocess: \"", "${A:-${B:-x}}", 1_000_000},
		{"template", "one long text", "a: \"", "\\u0041", 1_000_000},
		{"template edit", "one long line", "a: ", "x ", 1_000_000},
		{"template edit", "a block", "a: |\n", "  x\n", 1_000_000},
		{"template", "a folded block", "a: >\n", "  x\n\n", 1_000_000},
		{"template edit", "comments", "", "# x\n", 240_000},
		{"template", "comments between", "a:\n", "# x\n- b\n", 240_000},
		{"template", "a flow list", "a: [", "a,", 60_000},
		{"template", "a flow mapping", "a: {", "a#: b,", 120_000},
		{"template edit", "indented more and more", "", "- ", 100},
		{"template", "quotes", "", "'", 1_000_000},
		{"template", "double quotes", "a: ", "\"", 1_000_000},
		{"template edit", "question marks", "", "? a#\n", 120_000},
		{"template", "colons", "", "a:\n  ", 4_000},
		{"template", "documents", "", "---\n", 120_000},
		{"template", "empty lines", "", "\n", 1_000_000},
		{"template", "carriage returns", "a: |\n", "  b\r\n", 1_000_000},
		{"template", "spaces", "a:", "          ", 1_000_000},
		{"stack edit", "build args", "functions:\n  a:\n    build_args:\n", "      k#: v\n", 240_000},
		{"stack", "secrets", "functions:\n  a:\n    secrets:\n", "    - s#\n", 240_000},
		{"template", "options", "build_options:\n", "- name: o#\n  packages: [a, b]\n", 240_000},
		{"function", "categories", "categories:\n", "- c#\n", 240_000},
		{"function", "examples", "examples:\n", "- {title: e#, body: x}\n", 240_000},
	} {
		for _, by := range strings.Fields(c.by) {
			read := yaml[by]
			readers = append(readers, growth.Reader{Name: by + ": " + c.what, Size: c.size, Begin: func(size int) func() {
				data := []byte(many(size, c.before, c.line))
				return func() { _ = read(data) }
			}})
		}
	}
	growth.Check(t, append(readers, jsonReaders()...)...)
}

// TestMappingIsBounded has mappings with as many keys as one may have, and with more.
func TestMappingIsBounded(t *testing.T) {
	t.Parallel()
	keys := func(indent, format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, indent+format+"\n", i)
		}
		return b.String()
	}
	for _, format := range []string{"k%d: v", "'k%d': v", `"k%d": v`, "&a%[1]d k%[1]d: v", "!!str k%d: v", "? k%d\n  : v", "k%d:\n  - a: b\n    c: d", "k%d:\n    a: {b: c}"} {
		for n, want := range map[int]bool{1000: true, 2001: false} {
			for _, before := range []string{"", "a:\n", "a:\n- b:\n", "- a: 1\n- "} {
				indent := map[string]string{"": "", "a:\n": "  ", "a:\n- b:\n": "    ", "- a: 1\n- ": "  "}[before]
				text := before + strings.TrimPrefix(keys(indent, strings.ReplaceAll(format, "\n", "\n"+indent), n), map[bool]string{true: indent}[before == "- a: 1\n- "])
				_, err := schema.ParseManifest("t.yml", []byte(text))
				if few := err == nil || !strings.Contains(err.Error(), "more than 2000 keys"); few != want {
					t.Errorf("%q with %d keys below %q: %.200v", format, n, before, err)
				}
			}
		}
	}
}

// jsonReaders are those of a store's files, and of the texts that a command line and a
// record have.
func jsonReaders() []growth.Reader {
	record := func(data []byte) error { _, err := schema.ParseRecord("r.json", data); return err }
	lock := func(data []byte) error { _, err := schema.ParseLock("l", data); return err }
	pack := func(data []byte) error { _, err := schema.ParsePackage("p.json", data); return err }
	text := func(read func(string) error) func([]byte) error {
		return func(data []byte) error { return read(string(data)) }
	}
	ref := text(func(s string) error { _, err := schema.ParseTemplateRef(s); return err })
	platforms := text(func(s string) error { _, err := schema.ParsePlatforms(s); return err })
	icon := text(schema.ValidateIcon)
	image := text(schema.ValidateImage)
	var readers []growth.Reader
	for _, c := range []struct {
		what, before, part, after string
		read                      func([]byte) error
	}{
		{"pins", `{"version":1,"templates":{"x":{}`, `,"t#":{"source":"x"}`, "}}", lock},
		{"bases", `{"version":1,"bases":{"x":""`, `,"t#":""`, "}}", lock},
		{"keys of later", `{"version":1`, `,"k#":{"x":[]}`, "}", lock},
		{"unknown keys", `{"v":1`, `,"k#":{}`, "}", record},
		{"one key again", `{"v":1`, `,"v":1`, "}", record},
		{"platforms", `{"v":1,"kind":"template","platforms":["x"`, `,"linux/a#"`, "]}", record},
		{"environment", `{"v":1,"kind":"function","run":{"environment":{"a":"b"`, `,"k#":"v"`, "}}}", record},
		{"images", `{"v":1,"kind":"function","image":{"platforms":{"a":{}`, `,"linux/a#":{}`, "}}}", record},
		{"examples", `{"v":1,"kind":"function","examples":[{}`, `,{}`, "]}", record},
		{"nested", `{"v":1,"x":`, `[`, "", record},
		{"escapes", `{"v":1,"x":"`, `\u0041`, `"}`, record},
		{"tags", `{"v":1,"tags":["a"`, `,"a#"`, "]}", pack},
		{"an icon", "data:image/svg+xml,", "%3Csvg", "", icon},
		{"an image", "a", "/a", "", image},
		{"an image with dots", "a.", "a.", "", image},
		{"a reference", "a/b@", ">=1, ", "", ref},
		{"a reference of versions", "a/b@1.", "1.", "", ref},
		{"a reference of ors", "a/b@", "1||", "", ref},
		{"a URL", "https://a/", "//", "", ref},
		{"a URL with escapes", "https://a/", "%2e", "", ref},
		{"a path", "./", "../", "", ref},
		{"platforms in a row", "linux/amd64", ",linux/amd64", "", platforms},
		{"other platforms", "linux/amd64", ",linux/a#", "", platforms},
	} {
		readers = append(readers, growth.Reader{Name: c.what, Size: schema.MaxRecordSize - 100, Begin: func(size int) func() {
			data := []byte(many(size-len(c.after), c.before, c.part) + c.after)
			return func() { _ = c.read(data) }
		}})
	}
	return readers
}

// TestFilesAreBounded reads files without end: no more of them than the limit.
func TestFilesAreBounded(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(string) error{
		"fnb.lock":   func(file string) error { _, err := schema.ReadLock(file); return err },
		"stack.yaml": func(file string) error { _, err := schema.ReadStack(file, nil); return err },
		"env.yml":    func(file string) error { _, err := schema.ReadEnvironmentFile(file); return err },
		"config.yml": func(file string) error { _, err := settings.Read(file); return err },
	} {
		file := filepath.Join(t.TempDir(), name)
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Truncate(1<<40), f.Close()); err != nil {
			t.Fatal(err)
		}
		if err := read(file); err == nil || !strings.Contains(err.Error(), "the file is larger than") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
