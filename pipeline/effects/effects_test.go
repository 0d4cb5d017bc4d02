package effects

import (
	"errors"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"fnb/audit"
	"fnb/builder/probe"
	"fnb/pipeline"
	"fnb/pipeline/locks"
	"fnb/pipeline/pins"
	"fnb/sbom"
)

// hostile is a text that would be a link, an image, a mention, a heading or HTML, and end a cell.
const hostile = "`a|b` [x](https://example.com) <script>@acme</script>\n# **x**"

// change is one with something of everything, whose texts are from elsewhere.
func change() *Change {
	pkg := func(version string) []sbom.Package {
		return []sbom.Package{{Ecosystem: "npm", Name: hostile, Version: version}, {Ecosystem: "Debian:12", Name: "same", Version: "1"}}
	}
	finding := func(id string) audit.Finding {
		return audit.Finding{ID: id, Ecosystem: "npm", Package: hostile, Version: "1", Functions: []string{"hello"}}
	}
	return &Change{
		Pins:     []pins.Change{{Kind: pins.Template, Name: hostile, Locked: &pins.Choice{Version: "1.0.0"}, Newest: &pins.Choice{Version: "1.1.0"}}},
		Files:    []File{{Path: hostile, Action: "conflict"}},
		Locks:    []locks.Lock{{Manager: "npm", File: hostile, Functions: []string{"a", "b", "c", "d", "e"}, Changed: true}, {Manager: "npm", File: "same"}},
		Unlocked: errors.New(hostile),
		Functions: []Function{
			{Name: "hello", Before: &Image{Size: 2_000_000, Packages: pkg("1")}, After: &Image{Size: 1_000_000, Packages: pkg("2")}},
			{Name: "broken", Failed: errors.New(hostile)},
		},
		Tests: []pipeline.TestResult{
			{Function: "hello", OK: true, Checks: []probe.Check{{Name: "tests", Status: probe.Passed}}},
			{Function: hostile, Checks: []probe.Check{{Name: "request", Status: probe.Failed, Detail: hostile}}},
		},
		Holes: Holes{Looked: true, Gone: []audit.Finding{finding("CVE-1")}, New: []audit.Finding{finding("CVE-2")}, Stay: []audit.Finding{finding("CVE-3")}},
	}
}

// TestMarkdown: the text says all of it, and nothing from elsewhere acts on a host's page.
func TestMarkdown(t *testing.T) {
	t.Parallel()
	text := change().Markdown()
	title, body, _ := strings.Cut(text, "\n\n")
	if title != "Move 1 pin and 1 lock of packages" {
		t.Errorf("the title is %q", title)
	}
	for _, want := range []string{
		"**Do not merge this as it is**: 1 file has a conflict; the tests of 1 function fail; broken cannot be built; locks of packages cannot be made.",
		"| hello | 2.0 MB, 2 packages | 1.0 MB, 2 packages | −1.0 MB, 1 package differs | 2 → 2 |", "a, b, c, d, and 1 more", "| **new** |", "CVE-2",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("it does not say %q:\n%s", want, body)
		}
	}
	if strings.Contains(body, "same") {
		t.Error("it tells what has not changed")
	}
	var page strings.Builder
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(text), &page); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<a ", "<img", "<script", "<h1"} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("it is shown with %s:\n%s", bad, page.String())
		}
	}
	if strings.Contains(strings.ReplaceAll(page.String(), "<code>", ""), "\n@acme") {
		t.Error("somebody is mentioned")
	}
}

// TestBounds: a change of many things fits into what hosts take.
func TestBounds(t *testing.T) {
	t.Parallel()
	c := &Change{}
	for range 5000 {
		c.Pins = append(c.Pins, pins.Change{Kind: pins.Base, Name: strings.Repeat("x", 2000), Locked: &pins.Choice{Digest: "sha256:1"}, Newest: &pins.Choice{Digest: "sha256:2"}})
	}
	if text := c.Markdown(); len(text) > 65_536 || !strings.HasSuffix(text, "\n") {
		t.Errorf("it has %d bytes", len(text))
	}
	c.Pins = c.Pins[:maxRows+1]
	for i := range c.Pins {
		c.Pins[i].Name = "x"
	}
	if text := c.Markdown(); !strings.Contains(text, "… and 1 more.") {
		t.Errorf("it does not say that it leaves something out:\n%s", text)
	}
}

// TestWithout: a hole in a package is the same one in another version; what does no harm does not count.
func TestWithout(t *testing.T) {
	t.Parallel()
	was := []audit.Finding{{ID: "a", Package: "p", Version: "1"}, {ID: "b", Package: "p", Version: "1"}, {ID: "c", Package: "p", Suppressed: &audit.Suppressed{}}}
	is := []audit.Finding{{ID: "a", Package: "p", Version: "2"}, {ID: "b", Package: "q", Version: "1"}}
	gone, stay := without(was, is)
	if len(gone) != 1 || gone[0].ID != "b" || len(stay) != 1 || stay[0].ID != "a" {
		t.Errorf("%v is gone, %v stays", gone, stay)
	}
}
